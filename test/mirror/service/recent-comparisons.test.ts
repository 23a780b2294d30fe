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

await t.test('a pass compares so many of them at most, and all get their turn', (t) => {
  let now = 0
  const recent = new RecentComparisons({ now: () => now, after: () => () => undefined }, 3)
  const images = ['1', '2', '3', '4', '5', '6', '7'].map((tag) => imageOf(tag))
  const listed = imageOf('listed', 0, false)
  const pass = () => {
    const due = recent.due([...images, listed])
    for (const image of due) recent.found({ image, state: 'missing' })
    return due.map(({ target }) => target.split(':')[1]).join(' ')
  }
  // Each pass comes so late that all images are open again, and none of them settles.
  const passes = Array.from({ length: 7 }, () => {
    now += hour
    return pass()
  })
  t.strictSame(passes, [
    '1 2 3 listed',
    '4 5 6 listed',
    '1 2 7 listed',
    '3 4 5 listed',
    '1 2 6 listed',
    '3 4 7 listed',
    '1 2 5 listed',
  ])
  recent.retain([listed, imageOf('3')])
  now += hour
  t.equal(pass(), '1 2 4 listed', 'forgotten images come before the only one that was compared')
  t.end()
})

await t.test('a tag that app.ci sets again is compared again', (t) => {
  const recent = new RecentComparisons({ now: () => 0, after: () => () => undefined })
  const image = imageOf('a')
  recent.found({ image, state: 'left out', reason: 'x' })
  t.strictSame(recent.due([image]), [])
  const again = {
    ...image,
    distributed: { imageStreamTag: { namespace: 'a', name: 'b', tag: 'a' }, setAt: 1 },
  }
  t.strictSame(recent.due([again]), [again])
  t.end()
})

await t.test('the digest that both sides had in common', (t) => {
  const recent = new RecentComparisons({ now: () => 0, after: () => () => undefined })
  const image = imageOf('a', 1)
  recent.copied(image.target, digestOf(9))
  t.equal(recent.commonOf(image.target), undefined, 'an image of the configuration')
  recent.found({ image, state: 'same', digest: digestOf(1) })
  recent.found({ image: imageOf('a', 2), state: 'different', digest: digestOf(2), replaced: digestOf(1) })
  t.equal(recent.commonOf(image.target), digestOf(1))
  recent.copied(image.target, digestOf(2))
  t.equal(recent.commonOf(image.target), digestOf(2))
  t.end()
})

await t.test('an image whose copy has failed is compared again', (t) => {
  const recent = new RecentComparisons({ now: () => 0, after: () => () => undefined })
  const image = imageOf('a')
  recent.failed(image.target)
  recent.found({ image, state: 'different', digest: digestOf(0), replaced: undefined })
  t.strictSame(recent.due([image]), [])
  recent.failed(image.target)
  t.strictSame(recent.due([image]), [image])
  t.end()
})
