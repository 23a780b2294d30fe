import t from 'tap'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import type { Finding } from '../../../src/mirror/plan/findings.ts'
import { RecentComparisons } from '../../../src/mirror/service/recent-comparisons.ts'
import type { Digest } from '../../../src/oci/digest.ts'

const digestOf = (digit: number) => `sha256:${String(digit).repeat(64)}` as Digest
const imageOf = (tag: string, digit = 0, isDistributed = true): DesiredImage => ({
  target: `a/b:${tag}`,
  float: `a_b_${tag}`,
  source: {
    registry: 'registry.ci.openshift.org',
    repository: 'a/b',
    tag: undefined,
    digest: digestOf(digit),
  },
  ...(isDistributed ? { distributed: { imageStreamTag: { namespace: 'a', name: 'b', tag }, setAt: 0 } } : {}),
})
const hour = 3_600_000

await t.test('images of the watch are compared when they change, and every few hours', (t) => {
  let now = 0
  const recent = new RecentComparisons({ now: () => now, after: () => () => undefined })
  const images = [imageOf('listed', 0, false), imageOf('same'), imageOf('older'), imageOf('broken')]
  const due = (all = images) => recent.due(all).map(({ target }) => target.split(':')[1])
  t.strictSame(due(), ['listed', 'same', 'older', 'broken'])
  const [listed, same, older, broken] = images as [DesiredImage, DesiredImage, DesiredImage, DesiredImage]
  const findings: readonly Finding[] = [
    { image: listed, state: 'same', digest: digestOf(0) },
    { image: same, state: 'same', digest: digestOf(0) },
    { image: older, state: 'left out', reason: 'x' },
    { image: broken, state: 'unreadable', reason: 'x' },
  ]
  for (const finding of findings) recent.found(finding)
  t.strictSame(due(), ['listed'])
  t.strictSame(due([imageOf('same', 1), older]), ['same'], 'another digest')
  now = hour
  t.strictSame(due(), ['listed', 'broken'])
  now = 7 * hour
  t.strictSame(due(), ['listed', 'same', 'older', 'broken'])
  now = 0
  recent.clear()
  t.strictSame(due(), ['listed', 'same', 'older', 'broken'])
  t.end()
})

await t.test('a pass compares so many of them at most', (t) => {
  const recent = new RecentComparisons({ now: () => 0, after: () => () => undefined }, 2)
  const images = [imageOf('1'), imageOf('2'), imageOf('3'), imageOf('listed', 0, false)]
  t.strictSame(
    recent.due(images).map(({ target }) => target),
    ['a/b:1', 'a/b:2', 'a/b:listed'],
  )
  t.end()
})
