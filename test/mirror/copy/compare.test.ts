import t from 'tap'
import { compareImages } from '../../../src/mirror/copy/compare.ts'
import { ociIndex, putContent, putImage, putIndex, tag } from '../../support/image-fixtures.ts'
import { float, startSides } from './sides.ts'

await t.test('one HEAD per side', async (t) => {
  const { source, target, original, stored, origin, qci } = await startSides(t)
  const compare = async () => await compareImages({ source, version: 'latest', target, float })
  t.strictSame(await compare(), { state: 'missing' })
  const image = putImage(original, 'a')
  tag(original, 'latest', image)
  t.strictSame(await compare(), { state: 'different', digest: image.digest, replaced: undefined })
  tag(stored, float, putImage(stored, 'b'))
  t.match(await compare(), { state: 'different', replaced: stored.tags.get(float) })
  tag(stored, float, putImage(stored, 'a'))
  t.strictSame(await compare(), { state: 'same', digest: image.digest })
  t.equal(origin.requests.length, 4)
  t.equal(qci.requests.length, 4)
  t.ok([...origin.requests, ...qci.requests].every(({ method }) => method === 'HEAD'))
})

await t.test('a list that gains a platform has another digest', async (t) => {
  const { source, target, original, stored } = await startSides(t)
  tag(stored, float, putIndex(stored, 'a'))
  const grown = putContent(original, { manifests: [putImage(original, 'a-amd64')] }, ociIndex)
  tag(original, 'latest', grown)
  t.match(await compareImages({ source, version: 'latest', target, float }), { state: 'different' })
})

await t.test('a pinned source is read only if the target has another image', async (t) => {
  const { source, target, original, stored, origin } = await startSides(t)
  const { digest } = putImage(original, 'a')
  const compare = async () => await compareImages({ source, version: digest, target, float })
  tag(stored, float, putImage(stored, 'a'))
  t.strictSame(await compare(), { state: 'same', digest })
  t.equal(origin.requests.length, 0)
  tag(stored, float, putImage(stored, 'b'))
  t.match(await compare(), { state: 'different', digest, replaced: stored.tags.get(float) })
  original.manifests.clear()
  t.strictSame(await compare(), { state: 'missing' })
})
