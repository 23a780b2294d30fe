import t from 'tap'
import type { Digest } from '../../../src/oci/reference.ts'
import { requestedRanges } from '../../../src/upstream/cache/requested-ranges.ts'
import { storedAnswer } from '../../../src/upstream/cache/stored-answer.ts'
import { thrown } from '../../support/thrown.ts'

const digest = `sha256:${'a'.repeat(64)}` as Digest
const answer = (range: string | undefined, size = 100) =>
  storedAnswer(digest, size, requestedRanges({ digest, range, ifRange: undefined }))

await t.test('the whole blob, a part of it, and no part', async (test) => {
  test.strictSame(answer(undefined), {
    status: 200,
    headers: {
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
      'content-type': 'application/octet-stream',
      'content-length': '100',
    },
    parts: [{ start: 0, end: 100 }],
  })
  test.match(answer('bytes=5-9'), {
    status: 206,
    headers: { 'content-length': '5', 'content-range': 'bytes 5-9/100' },
    parts: [{ start: 5, end: 10 }],
  })
  test.match(
    thrown(() => answer('bytes=100-')),
    {
      code: 'SIZE_INVALID',
      status: 416,
      headers: { 'content-range': 'bytes */100' },
    },
  )
})

await t.test('several parts, each with its place, and their length', async (test) => {
  const { status, headers, parts } = answer('bytes=0-1,50-50')
  test.equal(status, 206)
  const [, boundary = ''] = /boundary=(\w+)$/.exec(headers['content-type'] ?? '') ?? []
  const text = parts
    .map((part) => (Buffer.isBuffer(part) ? part.toString() : '?'.repeat(part.end - part.start)))
    .join('')
  const type = 'content-type: application/octet-stream'
  test.equal(
    text,
    `\r\n--${boundary}\r\n${type}\r\ncontent-range: bytes 0-1/100\r\n\r\n??` +
      `\r\n--${boundary}\r\n${type}\r\ncontent-range: bytes 50-50/100\r\n\r\n?` +
      `\r\n--${boundary}--\r\n`,
  )
  test.equal(headers['content-length'], `${text.length}`)
  test.equal(headers['content-range'], undefined)
})

await t.test('attack: the same bytes a thousand times are the whole once', async (test) => {
  const range = `bytes=${Array(1000).fill('0-').join(',')}`
  test.match(answer(range), { status: 200, headers: { 'content-length': '100' }, parts: { length: 1 } })
})
