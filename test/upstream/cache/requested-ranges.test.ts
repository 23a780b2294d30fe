import t from 'tap'
import type { Digest } from '../../../src/oci/reference.ts'
import { isWhole, requestedRanges, stretchesOf } from '../../../src/upstream/cache/requested-ranges.ts'

const digest = `sha256:${'a'.repeat(64)}` as Digest
const specsOf = (range: string | undefined, ifRange?: string) => requestedRanges({ digest, range, ifRange })

await t.test('the requested bytes of a blob with ten bytes', async (test) => {
  const rows: [string, [number, number][]][] = [
    ['bytes=0-9', [[0, 10]]],
    ['bytes=3-', [[3, 10]]],
    ['bytes=3-100', [[3, 10]]],
    ['bytes=-4', [[6, 10]]],
    ['bytes=-40', [[0, 10]]],
    ['BYTES=1-1', [[1, 2]]],
    [
      'bytes= 1-1 ,\t5-6',
      [
        [1, 2],
        [5, 7],
      ],
    ],
    ['bytes=10-', []],
    ['bytes=-0', []],
    ['bytes=10-,2-2', [[2, 3]]],
    // RFC 9110 14.1.2: numbers of any length.
    ...[15, 16, 400].flatMap((digits): [string, [number, number][]][] => [
      [`bytes=${'9'.repeat(digits)}-`, []],
      [`bytes=3-${'9'.repeat(digits)}`, [[3, 10]]],
      [`bytes=-${'9'.repeat(digits)}`, [[0, 10]]],
    ]),
  ]
  for (const [range, expected] of rows) {
    const found = stretchesOf(specsOf(range) ?? [], 10)
    test.strictSame(
      found.map(({ start, end }) => [start, end]),
      expected,
      range,
    )
  }
})

await t.test('an unreadable range is ignored', async (test) => {
  const unreadable = [
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=5',
    'bytes=9-5',
    'items=0-5',
    'bytes=1-2,',
    'bytes=1-2;3-4',
  ]
  for (const range of [undefined, ...unreadable]) test.equal(specsOf(range), undefined, `${range}`)
})

await t.test('trap 35: 1024 ranges are read, more are none', async (test) => {
  const many = (count: number) =>
    `bytes=${Array.from({ length: count }, (_, index) => `${2 * index}-${2 * index}`).join(',')}`
  test.equal(specsOf(many(1024))?.length, 1024)
  test.equal(specsOf(many(1025)), undefined)
})

await t.test('If-Range holds for the entity tag of the digest alone', async (test) => {
  test.ok(specsOf('bytes=1-2', `"${digest}"`))
  test.ok(specsOf('bytes=1-2', ` "${digest}" `))
  for (const ifRange of ['"other"', `W/"${digest}"`, digest, '', 'Sun, 29 Nov 2026 00:00:00 GMT'])
    test.equal(specsOf('bytes=1-2', ifRange), undefined, ifRange)
})

await t.test('all of a blob, in order', async (test) => {
  for (const range of [undefined, 'bytes=0-', 'bytes=0-9', 'bytes=-10', 'bytes=-99'])
    test.ok(isWhole(specsOf(range), 10), String(range))
  for (const range of ['bytes=1-', 'bytes=0-8', 'bytes=-9', 'bytes=0-4,5-9', 'bytes=10-'])
    test.notOk(isWhole(specsOf(range), 10), range)
})
