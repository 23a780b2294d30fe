import t from 'tap'
import {
  createHeadParser,
  UnsupportedResponse,
  type ReadHead,
} from '../../../src/upstream/http1/response-head.ts'

const read = (text: string): ReadHead | undefined => createHeadParser()(Buffer.from(text, 'latin1'))
const head = (...fields: string[]): string =>
  ['HTTP/1.1 200 OK', 'Content-Length: 5', ...fields, '', ''].join('\r\n')

await t.test('a plain response is parsed', (test) => {
  const text = head(
    'X-A: 1',
    'x-a:\t2 ',
    '__proto__: a',
    'Empty:',
    'WWW-Authenticate: a',
    'Www-Authenticate: b',
  )
  const found = read(`${text}hello`)
  if (found === undefined) throw new Error('no head')
  const { headers, ...rest } = found
  test.same(rest, { statusCode: 200, contentLength: 5, isLast: false, bodyAt: text.length })
  test.equal(Object.getPrototypeOf(headers), null)
  test.same(Object.entries(headers), [
    ['content-length', '5'],
    ['x-a', ['1', '2']],
    ['__proto__', 'a'],
    ['empty', ''],
    ['www-authenticate', ['a', 'b']],
  ])
  test.end()
})

await t.test('a head may be cut at every byte, or come byte by byte', (test) => {
  const text = head('ETag: "a"')
  const bytes = Buffer.from(`${text}he`)
  for (let cut = 1; cut < text.length; cut++) {
    const parse = createHeadParser()
    const memory = Buffer.from(bytes.subarray(0, cut))
    test.equal(parse(memory), undefined)
    memory.fill('x')
    const found = parse(bytes.subarray(cut))
    test.same([found?.bodyAt, found?.headers['etag']], [text.length - cut, '"a"'], `cut at ${cut}`)
  }
  const parse = createHeadParser()
  const found = Array.from(text, (letter) => parse(Buffer.from(letter)))
  test.equal(found.pop()?.bodyAt, 1)
  test.ok(found.every((nothing) => nothing === undefined))
  test.end()
})

await t.test('a head with bare line ends is rejected at once: its end would never come', (test) => {
  const text = 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'
  test.throws(() => read(text), UnsupportedResponse)
  const parse = createHeadParser()
  test.throws(() => {
    for (const letter of text) parse(Buffer.from(letter))
  }, UnsupportedResponse)
  test.end()
})

await t.test('Connection: close is reported', (test) => {
  test.equal(read(head('Connection: Close'))?.isLast, true)
  test.equal(read(head('Connection: a', 'Connection: close'))?.isLast, true)
  test.equal(read(head('Connection: keep-alive'))?.isLast, false)
  test.end()
})

const unusual: Readonly<Record<string, string>> = {
  'a status that has no body': 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
  'not modified': 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
  'an interim answer with a length': 'HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n',
  'an interim answer in chunks': 'HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n',
  'an interim answer with a line that is no field': 'HTTP/1.1 103 Early Hints\r\nA\r\n\r\n',
  'another protocol': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
  'an interim answer that nobody knows': 'HTTP/1.1 199 A\r\n\r\n',
  'interim answers of more than 32 KiB': 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1400),
  'another version': 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n',
  'no version': 'ICY 200 OK\r\nContent-Length: 5\r\n\r\n',
  'no space after the status': 'HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n',
  'a status of four digits': 'HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\n',
  'no length': 'HTTP/1.1 200 OK\r\nServer: a\r\n\r\n',
  'two lengths': head('Content-Length: 5'),
  'two lengths in one': 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n',
  'a signed length': 'HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n',
  'a negative length': 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n',
  'a hexadecimal length': 'HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n',
  'an empty length': 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n',
  'a length beyond numbers': 'HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\n',
  'a transfer coding': head('Transfer-Encoding: chunked'),
  'a transfer coding of another case': head('TRANSFER-ENCODING: identity'),
  'an obsolete continuation': head('A: b', ' c'),
  'a space before the colon': head('A : b'),
  'no colon': head('A'),
  'no name': head(': b'),
  'a bare CR': head('A: b\rc'),
  'a bare LF': head('A: b\nTransfer-Encoding: chunked'),
  'a bare CR at the end of a value': head('A: b\r'),
  'a bare LF before a value': head('A:\nTransfer-Encoding: chunked'),
  'a bare LF after a value': head('A: b\n'),
  'a length with a space that is none': 'HTTP/1.1 200 OK\r\nContent-Length:\xa05\v\r\n\r\n',
  'a NUL': head('A: b\0'),
  'a control character': head('A: b\x7f'),
  'a letter beyond ASCII': head('A: \xe9'),
  'bare line ends': 'HTTP/1.1 200 OK\nContent-Length: 5\n\n\r\n\r\n',
  'two types': head('Content-Type: a', 'Content-Type: a'),
  'two digests': head('Docker-Content-Digest: a', 'Docker-Content-Digest: b'),
  'two locations': head('Location: a', 'Location: b'),
  'nothing at all': '\r\n\r\n',
  'a head of more than 32 KiB': head(`A: ${'x'.repeat(33_000)}`),
  'a head without end': 'x'.repeat(33_000),
}

for (const [what, text] of Object.entries(unusual))
  await t.test(`attack: ${what}`, (test) => {
    test.throws(() => read(text), UnsupportedResponse)
    test.end()
  })

await t.test('a long line of spaces takes no time', (test) => {
  test.equal(read(head(`A: b${' '.repeat(30_000)}`))?.headers['a'], 'b')
  test.end()
})

await t.test('interim answers are read over, cut at every byte, and byte by byte', (test) => {
  for (const interim of [
    '100 Continue',
    '100 ',
    '102 Processing\r\nA: b',
    '103 Early Hints\r\nLink: </a>\r\nLink: </b>',
  ]) {
    const before = `HTTP/1.1 ${interim}\r\n\r\n`.repeat(2)
    const text = `${before}${head('ETag: "a"')}`
    const bytes = Buffer.from(`${text}he`)
    for (let cut = 0; cut <= bytes.length; cut++) {
      const parse = createHeadParser()
      const first = parse(bytes.subarray(0, cut))
      const found = first ?? parse(bytes.subarray(cut))
      const at = first === undefined ? text.length - cut : text.length
      test.same([found?.statusCode, found?.headers['etag'], found?.bodyAt], [200, '"a"', at], `cut at ${cut}`)
      test.equal(found?.headers['link'], undefined)
    }
    const parse = createHeadParser()
    const found = Array.from(text, (letter) => parse(Buffer.from(letter)))
    test.equal(found.pop()?.bodyAt, 1)
    test.ok(found.every((nothing) => nothing === undefined))
  }
  test.end()
})
