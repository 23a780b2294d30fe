import t from 'tap'
import { parseRanges } from '../../../src/sandbox/quay/byte-ranges.ts'

const rows: ReadonlyArray<
  readonly [header: string | undefined, expected: ReadonlyArray<readonly number[]> | null]
> = [
  [undefined, null],
  ['items=0-1', null],
  ['bytes=', null],
  ['bytes=a-b', null],
  ['bytes=-', null],
  ['bytes=0-0', [[0, 0]]],
  ['bytes=10-', [[10, 99]]],
  ['bytes=90-100', [[90, 99]]],
  ['bytes=-5', [[95, 99]]],
  ['bytes=-500', [[0, 99]]],
  ['bytes=-0', []],
  ['bytes=100-', []],
  ['bytes=5-4', []],
  [
    'bytes=0-1, 50-, 200-300 ,-1',
    [
      [0, 1],
      [50, 99],
      [99, 99],
    ],
  ],
]

for (const [header, expected] of rows) {
  await t.test(`${header} of 100 bytes`, async (test) => {
    test.strictSame(parseRanges(header, 100)?.map(({ first, last }) => [first, last]) ?? null, expected)
  })
}
