import t from 'tap'
import { createManifestsByDigest } from '../../../src/upstream/cache/manifests-by-digest.ts'
import type { Digest } from '../../../src/oci/reference.ts'
import type { Manifest } from '../../../src/oci/image-source.ts'

const mediaType = 'application/vnd.oci.image.manifest.v1+json'
const overhead = 1536
const digestOf = (index: number) => `sha256:${String(index).padStart(64, '0')}` as Digest
const manifestOf = (index: number, size = 1000): Manifest => ({
  digest: digestOf(index),
  mediaType,
  size,
  content: Buffer.alloc(size, String(index)),
  isStale: false,
})

await t.test('a cached manifest is the same object each time', async (test) => {
  const { get, add, stats } = createManifestsByDigest(1_000_000)
  const manifest = manifestOf(1)
  test.equal(get(manifest.digest), undefined)
  const cached = add(manifest)
  test.strictSame(cached, manifest)
  test.equal(get(manifest.digest), cached)
  test.equal(add(manifestOf(1)), cached, 'also where it was fetched once more')
  test.equal(get(manifest.digest)?.content, cached.content, 'one Buffer')
  test.strictSame(stats(), { manifests: 1, bytes: 1000 + overhead })
})

await t.test(
  'the same bytes with another type: the type is the new one, the Buffer the old one',
  async (test) => {
    const { get, add, stats } = createManifestsByDigest(1_000_000)
    const before = add(manifestOf(1))
    const after = add({ ...manifestOf(1), mediaType: 'application/json' })
    test.equal(get(digestOf(1))?.mediaType, 'application/json')
    test.equal(after.content, before.content)
    test.equal(stats().manifests, 1)
  },
)

await t.test('attack on memory: a small Buffer keeps no pool alive', async (test) => {
  const { add } = createManifestsByDigest(1_000_000)
  const pooled = Buffer.concat([Buffer.from('{}')])
  test.ok(pooled.buffer.byteLength > 2)
  const { content } = add({ ...manifestOf(1), size: 2, content: pooled })
  test.equal(content?.buffer.byteLength, 2)
  test.equal(content?.toString(), '{}')
})

await t.test('an unverified manifest, or one without content, is not cached', async (test) => {
  const { get, add, stats } = createManifestsByDigest(1_000_000)
  const signed = { ...manifestOf(1), mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws' }
  const head = { ...manifestOf(1), content: undefined }
  for (const manifest of [signed, head]) {
    test.equal(add(manifest), manifest)
    test.equal(get(digestOf(1)), undefined)
  }
  test.strictSame(stats(), { manifests: 0, bytes: 0 })
})

await t.test('1,000 manifests stay within the bound', async (test) => {
  const maxBytes = 100_000
  const { get, add, stats } = createManifestsByDigest(maxBytes)
  for (let index = 0; index < 1000; index++) {
    add(manifestOf(index))
    get(digestOf(0))
    if (stats().bytes > maxBytes) test.fail(`${stats().bytes} bytes after ${index}`)
  }
  test.equal(stats().manifests, Math.floor(maxBytes / (1000 + overhead)))
  test.ok(get(digestOf(0)), 'what is asked for stays')
  test.ok(get(digestOf(999)))
  test.notOk(get(digestOf(500)))
})

await t.test('a manifest above the bound is returned, and evicts nothing', async (test) => {
  const { get, add, stats } = createManifestsByDigest(10_000)
  add(manifestOf(1))
  test.strictSame(add(manifestOf(2, 10_000)), manifestOf(2, 10_000))
  test.notOk(get(digestOf(2)))
  test.ok(get(digestOf(1)))
  test.equal(stats().manifests, 1)
})

await t.test('a manifest that is deleted', async (test) => {
  const manifests = createManifestsByDigest(10_000)
  manifests.add(manifestOf(1))
  manifests.delete(digestOf(1))
  test.equal(manifests.get(digestOf(1)), undefined)
  test.equal(manifests.stats().bytes, 0)
})

await t.test('a bound of 0 caches nothing', async (test) => {
  const { get, add, stats } = createManifestsByDigest(0)
  test.strictSame(add(manifestOf(1)), manifestOf(1))
  test.equal(get(digestOf(1)), undefined)
  test.strictSame(stats(), { manifests: 0, bytes: 0 })
})
