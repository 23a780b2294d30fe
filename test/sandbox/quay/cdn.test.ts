import t from 'tap'
import { createCdn } from '../../../src/sandbox/quay/cdn.ts'
import type { Answer } from '../../../src/sandbox/quay/answers.ts'
import { digestOf } from '../../../src/sandbox/quay/layers.ts'

const blob = Buffer.from('0123456789'.repeat(10))
const digest = digestOf(blob)
const signatory = { username: 'openshift+ci', namespace: 'openshift', repository: 'ci' }
let now = Date.UTC(2026, 0, 1)
const cdn = createCdn({ findBlob: (asked) => (asked === digest ? blob : undefined), now: () => now })

function get(url: string, headers: Record<string, string> = {}, method = 'GET'): Answer {
  return cdn.handle({ method, url: new URL(url), headers, address: '', body: Buffer.alloc(0), fault: {} })
}

const signed = (of: string = digest): string => cdn.sign('http://127.0.0.1:1', of, signatory)

await t.test('a signed URL names the robot, and opens the blob for 60 s', async (test) => {
  const url = signed()
  test.equal(new URL(url).searchParams.get('username'), 'openshift+ci')
  const answer = get(url)
  test.match(answer, {
    status: 200,
    headers: {
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      etag: /^"[0-9a-f]{32}"$/,
    },
  })
  test.strictSame(answer.body, [blob])
  test.match(get(url, {}, 'HEAD'), { status: 200 })
  now += 59_000
  test.match(get(url), { status: 200 })
  now += 1000
  test.match(get(url), { status: 403, headers: { 'content-type': 'application/xml' } })
})

await t.test('no signature, a changed one, a changed query or path: 403', async (test) => {
  const url = signed()
  const changed = [
    url.replace(/&Signature=.*/, ''),
    url.replace(/.$/, '*'),
    url.replace(/Signature=./, (found) => (found.endsWith('A') ? 'Signature=B' : 'Signature=A')),
    url.replace('openshift%2Bci', 'somebody'),
    url.replace(/Expires=\d+/, 'Expires=99999999999'),
    url.replace(digest.slice(7), digestOf(Buffer.from('other')).slice(7)),
  ]
  for (const wrong of changed) test.equal(get(wrong).status, 403, wrong)
})

await t.test('a credential or a cookie: 400', async (test) => {
  test.equal(get(signed(), { authorization: 'Bearer x' }).status, 400)
  test.equal(get(signed(), { cookie: 'a=b' }).status, 400)
})

await t.test('an unknown key, another method', async (test) => {
  test.equal(get(signed(digestOf(Buffer.from('other')))).status, 404)
  test.equal(get(signed(), {}, 'PUT').status, 405)
})

await t.test('one range', async (test) => {
  const answer = get(signed(), { range: 'bytes=95-200' })
  test.match(answer, { status: 206, headers: { 'content-range': 'bytes 95-99/100' } })
  test.equal(String(answer.body), '56789')
  const unsatisfiable = get(signed(), { range: 'bytes=100-' })
  test.match(unsatisfiable, { status: 416, headers: { 'content-range': 'bytes */100' } })
})

await t.test('several ranges', async (test) => {
  const { status, headers, body } = get(signed(), { range: 'bytes=0-1,-2' })
  test.equal(status, 206)
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(headers?.['content-type'] ?? '')?.[1]
  const part = (range: string, bytes: string): string =>
    `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${range}/100\r\n\r\n${bytes}`
  test.equal(
    Buffer.concat(body ?? []).toString(),
    `${part('0-1', '01')}${part('98-99', '89')}\r\n--${boundary}--\r\n`,
  )
})

await t.test('If-Range: a range only of the representation that was meant', async (test) => {
  const etag = get(signed()).headers?.['etag'] ?? ''
  test.equal(get(signed(), { range: 'bytes=0-1', 'if-range': etag }).status, 206)
  test.equal(get(signed(), { range: 'bytes=0-1', 'if-range': '"other"' }).status, 200)
})
