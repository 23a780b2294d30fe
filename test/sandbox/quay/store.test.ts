import t from 'tap'
import { buildArtifact } from '../../../src/sandbox/quay/images.ts'
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
  // Sorted anew for each page, so many would take longer than a test may.
  let page = store.tagsAfter('', 10)
  while (page.more) {
    listed.push(...page.names)
    page = store.tagsAfter(listed.at(-1) ?? '', 10)
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
})
