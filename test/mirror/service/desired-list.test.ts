import t from 'tap'
import { desiredImages } from '../../../src/mirror/plan/desired.ts'
import { changedFirst, withoutCollisions } from '../../../src/mirror/service/desired-list.ts'
import { configOf, supplemental } from '../validation/entries.ts'

const desiredOf = (sources: Readonly<Record<string, string>>) =>
  desiredImages(configOf(supplemental(sources)))

await t.test('if two images have one tag, the first one counts', async (t) => {
  const desired = desiredOf({
    'a/b_c:d': 'quay.io/a/b:1',
    'a/b:c_d': 'quay.io/a/b:2',
    'a/b:e': 'quay.io/a/b:3',
  })
  const { images, leftOut } = withoutCollisions(desired)
  t.strictSame(
    images.map(({ target }) => target),
    ['a/b_c:d', 'a/b:e'],
  )
  t.match(leftOut, [{ target: 'a/b:c_d', reason: 'a/b_c:d has the same tag, a_b_c_d, and comes first' }])
  const [image] = desired.images
  if (image === undefined) throw new Error('no image')
  t.equal(withoutCollisions({ images: [image, image], leftOut: [] }).images.length, 1)
  const elsewhere = { ...image, target: 'x', destination: { registry: 'r', repository: 'a/b' } }
  t.equal(withoutCollisions({ images: [image, elsewhere], leftOut: [] }).images.length, 2)
})

await t.test('images that a change has added come first', async (t) => {
  const before = desiredOf({ 'a/b:1': 'quay.io/a/b:1', 'a/b:2': 'quay.io/a/b:2' })
  const after = desiredOf({
    'a/b:1': 'quay.io/a/b:1',
    'a/b:2': 'quay.io/a/b:other',
    'a/b:3': 'quay.io/a/b:3',
    'a/b:hub': 'fedora',
  })
  const { images, leftOut } = changedFirst(after, before)
  t.strictSame(
    images.map(({ target }) => target),
    ['a/b:2', 'a/b:3', 'a/b:1'],
  )
  t.equal(leftOut.length, 1)
})
