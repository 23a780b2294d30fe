import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { readSourceImage } from '../../../src/mirror/copy/source-image.ts'
import { digestOf } from '../../support/pushable-registry.ts'
import { ociIndex, putContent, putImage, putIndex } from '../../support/image-fixtures.ts'
import { startSides } from './sides.ts'

await t.test('children come before their parents, each once', async (t) => {
  const { source, original, origin } = await startSides(t)
  const [index, image] = [putIndex(original, 'a'), putImage(original, 'b')]
  const inIndex = putImage(original, 'a-arm64')
  const root = putContent(original, { manifests: [index, inIndex, image, image] }, ociIndex)
  const manifests = await readSourceImage(source, root.digest)
  t.equal(manifests.length, 5)
  t.strictSame(
    manifests.slice(-3).map(({ digest }) => digest),
    [index.digest, image.digest, root.digest],
  )
  t.strictSame(manifests.at(-1)?.bytes, original.manifests.get(root.digest)?.bytes)
  t.equal(origin.requests.length, 5)
})

await t.test('a missing child is named with its list', async (t) => {
  const { source, original } = await startSides(t)
  const index = putIndex(original, 'a')
  const [child = ''] = original.manifests.keys()
  original.manifests.delete(child)
  await t.rejects(readSourceImage(source, index.digest), {
    name: 'RegistryFailure',
    kind: 'refused',
    message: `${source.label} does not have ${child}, a part of the list ${index.digest}: push the source again`,
  })
  await t.rejects(readSourceImage(source, digestOf('x') as Digest), {
    name: 'RegistryFailure',
    kind: 'transient',
  })
})

await t.test('attack: a list of a thousand manifests and more', async (t) => {
  const { source, original, origin } = await startSides(t)
  const images = Array.from({ length: 1001 }, (_, index) =>
    putContent(original, { manifests: [], n: index }, ociIndex),
  )
  const root = putContent(original, { manifests: images }, ociIndex)
  await t.rejects(readSourceImage(source, root.digest), { name: 'RegistryFailure', kind: 'refused' })
  t.ok(origin.requests.length <= 1001)
})
