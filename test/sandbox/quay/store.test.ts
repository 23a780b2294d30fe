import t from 'tap'
import { buildArtifact, buildTinyImage } from '../../../src/sandbox/quay/artifacts.ts'
import { toManifest } from '../../../src/sandbox/quay/descriptors.ts'
import { QuayStore } from '../../../src/sandbox/quay/store.ts'
import { smallImage } from './quay-client.ts'

await t.test('a tag leads to its image, whose parts are found by digest', async (test) => {
  const store = new QuayStore()
  const image = await smallImage()
  store.tag(['a'], image)
  test.equal(store.findByTag('a')?.digest, image.digest)
  test.equal(store.findByTag('b'), undefined)
  for (const { digest, body } of image.manifests) test.equal(store.findByDigest(digest)?.body, body)
  for (const [digest, body] of image.blobs) test.equal(store.findBlob(digest), body)
  test.equal(store.findBlob(image.digest), undefined, 'a manifest is no blob')
})

await t.test('a deleted tag is expired until it is set again', async (test) => {
  const store = new QuayStore()
  const image = await smallImage()
  store.tag(['a'], image)
  store.untag('a')
  test.equal(store.isExpired('a'), true)
  test.equal(store.findByTag('a'), undefined)
  test.strictSame(store.tagsAfter('', 10), { names: [], more: false })
  test.throws(() => store.untag('a'), { message: 'no tag a' })
  store.tag(['a'], image)
  test.equal(store.isExpired('a'), false)
})

await t.test('200,000 tags are set, and listed in order, each once', async (test) => {
  const store = new QuayStore()
  const names = Array.from({ length: 200_000 }, (_, index) => `tag-${(index * 7919) % 200_000}`)
  store.tag(names, await smallImage({ platforms: ['linux/amd64'] }))
  const listed: string[] = []
  let page = store.tagsAfter('', 1000)
  while (page.more) {
    listed.push(...page.names)
    page = store.tagsAfter(listed.at(-1) ?? '', 1000)
  }
  listed.push(...page.names)
  test.ok(
    listed.length === 200_000 &&
      listed.every((name, index) => index === 0 || name > (listed[index - 1] ?? '')),
  )
  test.strictSame(store.tagsAfter('zzz', 5), { names: [], more: false })
  test.strictSame(store.tagsAfter('tag-99998a', 1), { names: ['tag-99999'], more: false })
})

await t.test('a manifest with a subject is its referrer', async (test) => {
  const store = new QuayStore()
  const image = await smallImage()
  const artifact = buildArtifact({ subject: image, artifactType: 'a/b', payload: Buffer.from('x') })
  store.tag(['a'], image)
  test.strictSame(store.referrersOf(image.digest), [])
  store.push(artifact)
  const { digest, mediaType, body } = artifact
  test.strictSame(store.referrersOf(image.digest), [
    { mediaType, digest, size: body.length, artifactType: 'a/b', annotations: {} },
  ])
  const bare = toManifest(mediaType, { subject: { digest: artifact.digest } })
  store.push({ ...bare, manifests: [bare], blobs: new Map() })
  test.strictSame(store.referrersOf(artifact.digest), [
    { mediaType, digest: bare.digest, size: bare.body.length },
  ])
})

await t.test('lazily: made when a tag is requested, or an unknown digest', async (test) => {
  const subject = await smallImage()
  const contentOf = (name: string) =>
    name === 'sbom'
      ? buildArtifact({ subject, artifactType: 'a/b', payload: Buffer.from(name) })
      : buildTinyImage({ name })
  const start = () => {
    const store = new QuayStore('text')
    const made: string[] = []
    const make = (tag: string) => {
      made.push(tag)
      return contentOf(tag)
    }
    store.tagLazily(['b', 'sbom', 'A'], make)
    return { store, made }
  }
  const { store, made } = start()
  test.strictSame(store.tagsAfter('', 10), { names: ['A', 'b', 'sbom'], more: false })
  test.strictSame(made, [], 'a list makes nothing')
  test.equal(store.findByTag('b')?.digest, contentOf('b').digest)
  test.equal(store.findByTag('b')?.digest, contentOf('b').digest)
  test.equal(store.findByDigest(contentOf('b').digest)?.digest, contentOf('b').digest)
  test.strictSame(made, ['b'], 'once, and nothing else')
  const [blob = ''] = contentOf('A').blobs.keys()
  test.ok(store.findBlob(blob), 'as if it had always been there')
  test.strictSame(made, ['b', 'sbom', 'A'])
  test.equal(store.findBlob('sha256:none'), undefined)
  test.ok(start().store.findByDigest(contentOf('A').digest))
  test.match(start().store.referrersOf(subject.digest), [{ artifactType: 'a/b' }])

  const other = start()
  other.store.untag('A')
  other.store.tag(['b'], subject)
  other.store.referrersOf(subject.digest)
  test.strictSame(other.made, ['sbom'], 'what is gone or moved is not made')
  test.equal(other.store.findByTag('b')?.digest, subject.digest)
})

await t.test('a hundred thousand tags of one content, by pages in either order', async (test) => {
  const names = Array.from({ length: 100_000 }, (_, index) => `ocp_t${(index * 7919) % 100_000}`)
  const image = buildTinyImage({ name: 'a' })
  for (const collation of ['bytes', 'text'] as const) {
    const store = new QuayStore(collation)
    store.tag(names, image)
    test.strictSame(store.tagsAfter('', 3).names, ['ocp_t0', 'ocp_t1', 'ocp_t10'], collation)
    test.strictSame(store.tagsAfter('ocp_t9999', 1).names, ['ocp_t99990'], collation)
  }
})

await t.test('a blob that was pushed by itself', async (test) => {
  const store = new QuayStore()
  store.pushBlob('sha256:x', Buffer.from('x'))
  test.equal(store.findBlob('sha256:x')?.toString(), 'x')
})
