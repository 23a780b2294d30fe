import t from 'tap'
import { byteRangeOf, isSameRange, type ByteRange } from '../../../src/upstream/resilience/byte-range.ts'

await t.test('the byte range of a response is read', async (test) => {
  const rows: readonly [
    200 | 206,
    Record<string, string>,
    number | undefined,
    Partial<ByteRange> | undefined,
  ][] = [
    [200, { 'content-length': '10' }, undefined, { start: 0, end: 10, total: 10 }],
    [200, { 'content-length': '10', etag: '"a"' }, undefined, { start: 0, end: 10, total: 10, etag: '"a"' }],
    [200, {}, 10, { start: 0, end: 10, total: 10 }],
    [200, {}, undefined, undefined],
    [
      206,
      { 'content-length': '4', 'content-range': 'bytes 6-9/10' },
      undefined,
      { start: 6, end: 10, total: 10 },
    ],
    [206, { 'content-range': 'bytes 6-9/10' }, undefined, { start: 6, end: 10, total: 10 }],
    [206, { 'content-length': '5', 'content-range': 'bytes 6-9/10' }, undefined, undefined],
    [206, { 'content-range': 'bytes 6-10/10' }, undefined, undefined],
    [206, { 'content-range': 'bytes 9-6/10' }, undefined, undefined],
    [206, { 'content-range': 'bytes 6-9/*' }, undefined, undefined],
    [206, { 'content-type': 'multipart/byteranges; boundary=x' }, undefined, undefined],
  ]
  for (const [status, headers, size, expected] of rows) {
    const found = byteRangeOf({ status, headers }, size)
    test.strictSame(
      found,
      expected && { etag: undefined, ...expected },
      JSON.stringify([status, headers, size]),
    )
  }
})

await t.test('attack: another range, another blob or another version is not the same range', async (test) => {
  const wanted: ByteRange = { start: 6, end: 10, total: 10, etag: '"a"' }
  test.ok(isSameRange({ ...wanted }, wanted))
  test.ok(isSameRange({ ...wanted, etag: undefined }, wanted), 'no version is said')
  test.ok(isSameRange(wanted, { ...wanted, etag: undefined }))
  for (const other of [{ start: 5 }, { end: 9 }, { total: 11 }, { etag: '"b"' }])
    test.notOk(isSameRange({ ...wanted, ...other }, wanted), JSON.stringify(other))
  test.notOk(isSameRange(undefined, wanted))
})
