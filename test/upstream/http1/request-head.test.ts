import t from 'tap'
import { requestHead } from '../../../src/upstream/http1/request-head.ts'

const url = new URL('https://quay.example:8443/v2/a%20b?x=1#y')

await t.test('a request head is written', (test) => {
  test.equal(
    requestHead(url, { accept: '*/*', Range: 'bytes=1-' }),
    'GET /v2/a%20b?x=1 HTTP/1.1\r\nhost: quay.example:8443\r\naccept: */*\r\nRange: bytes=1-\r\n\r\n',
  )
  test.end()
})

const refused: ReadonlyArray<Record<string, string>> = [
  { range: 'bytes=1-\r\nhost: b' },
  { range: 'a\nb' },
  { range: 'a\rb' },
  { range: 'a\0b' },
  { range: 'a\x7fb' },
  { range: '\xe9' },
  { 'a b': 'c' },
  { 'a\r\nb': 'c' },
  { '': 'c' },
  { Host: 'b' },
  { 'content-length': '5' },
  { 'Transfer-Encoding': 'chunked' },
  { connection: 'close' },
]
for (const headers of refused)
  await t.test(`attack: ${JSON.stringify(headers)} would frame another request`, (test) => {
    test.throws(() => requestHead(url, headers), TypeError)
    test.end()
  })

await t.test('a URL without a path', (test) => {
  test.throws(() => requestHead(new URL('data:a'), {}), TypeError)
  test.end()
})
