import t from 'tap'
import type { Body } from '../../../src/oci/image-source.ts'
import { holding, rangeIn, unused } from '../../../src/upstream/cache/s3-reply.ts'

await t.test('which bytes an answer holds', (test) => {
  const part = { 'content-length': '5', 'content-range': 'bytes 5-9/10' }
  for (const [statusCode, headers, expected] of [
    [200, { 'content-length': '10' }, { start: 0, end: 10, total: 10 }],
    [206, part, { start: 5, end: 10, total: 10 }],
    [206, { ...part, 'set-cookie': ['a', 'b'] }, { start: 5, end: 10, total: 10 }],
    [416, { 'content-range': 'bytes */10' }, undefined],
    [200, {}, undefined],
    [200, { 'content-length': '0' }, undefined],
    [200, { 'content-length': '10', 'content-encoding': 'gzip' }, undefined],
  ] as const) {
    const range = rangeIn({ statusCode, headers: headers as Record<string, string | string[]> })
    if (expected === undefined) test.equal(range, undefined)
    else test.match(range, expected)
  }
  test.end()
})

await t.test('a permit is given back once, however a body ends', async (test) => {
  let discarded = 0
  const body: Body = {
    pipeTo: async () => await Promise.reject(new Error('cut')),
    discard: async () => void (discarded += 1),
  }
  let released = 0
  const held = holding(body, () => void (released += 1))
  await test.rejects(
    held.pipeTo(() => undefined),
    { message: 'cut' },
  )
  await held.discard()
  test.strictSame([released, discarded], [1, 1])
  test.equal(await unused(body), undefined)
  test.equal(discarded, 2)
})
