import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import { formatPlan } from '../../../src/mirror/plan/table.ts'

const digest = (digit: string) => `sha256:${digit.repeat(64)}` as Digest
const image = (target: string): DesiredImage => ({
  target,
  float: 'x',
  source: { registry: 'quay.io', repository: 'a/b', tag: 'c', digest: undefined },
})

await t.test('a plan', async (t) => {
  const plan = formatPlan(
    [
      { image: image('a/b:1'), state: 'same', digest: digest('1') },
      { image: image('a/b:20'), state: 'different', digest: digest('2'), replaced: digest('3') },
      { image: image('a/b:3'), state: 'different', digest: digest('2'), replaced: undefined },
      { image: image('a/b:4'), state: 'missing' },
      { image: image('a/b:5'), state: 'unreadable', reason: 'quay.io limits requests: 429' },
      { image: image('a/b:7'), state: 'left out', reason: 'the image in QCI is newer' },
    ],
    [{ ...image('a/b:6'), reason: 'quay.io/a/b:c is ignored: broken image' }],
  )
  t.strictSame(plan.split('\n'), [
    'different   a/b:20  sha256:333333333333 -> sha256:222222222222 of quay.io/a/b:c',
    'new         a/b:3   nothing yet -> sha256:222222222222 of quay.io/a/b:c',
    'missing     a/b:4   quay.io/a/b:c does not exist',
    'unreadable  a/b:5   quay.io limits requests: 429',
    'left out    a/b:7   the image in QCI is newer',
    'left out    a/b:6   quay.io/a/b:c is ignored: broken image',
    '1 of 6 images are up to date',
  ])
  t.equal(formatPlan([], []), '0 of 0 images are up to date')
})
