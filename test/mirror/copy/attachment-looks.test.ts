import t from 'tap'
import { AttachmentLooks } from '../../../src/mirror/copy/attachment-looks.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { ociIndex, putContent, putImage, tag } from '../../support/image-fixtures.ts'
import { startSides } from './sides.ts'

await t.test('a new attachment is seen within three looks, each of two requests', async (t) => {
  const { source, original, origin } = await startSides(t)
  const { digest } = putImage(original, 'image')
  const prefix = digest.replace(':', '-')
  const looks = new AttachmentLooks()
  const look = async (image: Digest = digest) => await looks.hasNew('a/b:c', source, image)
  const round = async () => [await look(), await look(), await look()]
  t.strictSame(await round(), [false, false, false])
  for (const suffix of ['sig', 'att', 'sbom']) {
    const attached = putImage(original, suffix)
    tag(original, `${prefix}.${suffix}`, attached)
    t.strictSame((await round()).filter(Boolean), [true], suffix)
    looks.copied('a/b:c', digest, [attached.digest])
    t.strictSame(await round(), [false, false, false])
    original.tags.delete(`${prefix}.${suffix}`)
  }
  const referrer = putImage(original, 'referrer')
  tag(original, prefix, putContent(original, { manifests: [referrer] }, ociIndex))
  t.strictSame(await round(), [true, true, true])
  looks.copied('a/b:c', digest, [referrer.digest])
  t.strictSame(await round(), [false, false, false])
  origin.requests.length = 0
  await look()
  t.ok(origin.requests.length <= 3, 'a registry without the API of referrers costs one more')
  const other = putImage(original, 'other').digest
  tag(original, other.replace(':', '-'), putContent(original, { manifests: [referrer] }, ociIndex))
  t.equal(await look(other), true, 'the same attachment of another image')
  looks.copied('a/b:c', other, [referrer.digest])
  looks.retain((name) => name === 'a/b:c')
  t.equal(await look(other), false)
  looks.retain(() => false)
  t.equal(await look(other), true, 'a target that left the list is forgotten')
})

await t.test('a digest that is too long for a tag has referrers alone', async (t) => {
  const { source } = await startSides(t)
  t.equal(await new AttachmentLooks().hasNew('a/b:c', source, `sha512:${'0'.repeat(128)}` as Digest), false)
})
