import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { copyImage } from '../../../src/mirror/copy/copy-image.ts'
import { digestOf } from '../../support/pushable-registry.ts'
import {
  ociIndex,
  ociManifest,
  putBlob,
  putContent,
  putImage,
  putIndex,
  putUncompressed,
  tag,
} from '../../support/image-fixtures.ts'
import { float, pruneTag, startSides, toolsOf } from './sides.ts'

await t.test('a list arrives with its digest, and the old one has a prune tag', async (t) => {
  const { source, target, original, stored, qci } = await startSides(t)
  const [old, fresh] = [putIndex(stored, 'old'), putIndex(original, 'new')]
  tag(stored, float, old)
  const order: string[] = []
  qci.onTag = (_repository, name) => order.push(name)
  const result = await copyImage(toolsOf(), { source, digest: fresh.digest, target, float })
  t.strictSame(result, {
    blobs: { mounted: 0, present: 2, uploaded: 4 },
    bytes: result.bytes,
    replaced: { digest: old.digest, pruneTag },
  })
  t.ok(result.bytes > 0)
  t.strictSame(order, [pruneTag, float])
  t.equal(stored.tags.get(float), fresh.digest)
  t.equal(stored.tags.get(pruneTag), old.digest)
  t.strictSame(stored.manifests.get(fresh.digest), original.manifests.get(fresh.digest))
  for (const [digest, bytes] of stored.blobs) t.equal(digestOf(bytes), digest)
})

await t.test('from another repository of the registry, no bytes are transferred', async (t) => {
  const { source, target, original, qci } = await startSides(t, { isNeighbour: true })
  const fresh = putIndex(original, 'new')
  const { blobs, bytes, replaced } = await copyImage(toolsOf(), {
    source,
    digest: fresh.digest,
    target,
    float,
  })
  t.strictSame(
    { blobs, bytes, replaced },
    // The layer that both images have arrives once.
    { blobs: { mounted: 5, present: 1, uploaded: 0 }, bytes: 0, replaced: undefined },
  )
  t.notOk(
    qci.requests.some(
      ({ method, path }) => method === 'PATCH' || (method === 'GET' && path.includes('/blobs/')),
    ),
  )
})

await t.test('content that the target has is not copied again', async (t) => {
  const { source, target, original, qci } = await startSides(t)
  const fresh = putIndex(original, 'new')
  const request = { source, digest: fresh.digest, target, float }
  await copyImage(toolsOf(), request)
  qci.requests.length = 0
  t.match(await copyImage(toolsOf(), request), { bytes: 0, replaced: undefined })
  t.ok(
    qci.requests.every(({ method }) => method === 'HEAD' || method === 'GET'),
    'nothing is written',
  )
})

await t.test('a broken source leaves the target untouched', async (t) => {
  const { source, target, original, stored, qci } = await startSides(t)
  tag(stored, float, putImage(stored, 'old'))
  const fresh = putIndex(original, 'new')
  original.manifests.delete([...original.manifests.keys()][0] as string)
  await t.rejects(copyImage(toolsOf(), { source, digest: fresh.digest, target, float }), {
    name: 'RegistryFailure',
  })
  t.equal(qci.requests.length, 0)
})

await t.test('another writer changes the float during the copy', async (t) => {
  const { source, target, original, stored, qci } = await startSides(t)
  tag(stored, float, putImage(stored, 'old'))
  const [fresh, promoted] = [putImage(original, 'new'), putImage(stored, 'promoted')]
  qci.onTag = (_repository, name) => {
    if (name === pruneTag) tag(stored, float, promoted)
  }
  const request = { source, digest: fresh.digest, target, float }
  await t.rejects(copyImage(toolsOf(), request), {
    name: 'RegistryFailure',
    message: `somebody else has just written ${target.label}:${float}`,
  })
  t.equal(stored.tags.get(float), promoted.digest)
})

await t.test('a float that somebody has written since the comparison is left as it is', async (t) => {
  const { source, target, original, stored } = await startSides(t)
  const [old, promoted] = [putImage(stored, 'old'), putImage(stored, 'promoted')]
  const { digest } = putImage(original, 'new')
  for (const expected of [{ digest: old.digest }, { digest: undefined }]) {
    tag(stored, float, promoted)
    await t.rejects(copyImage(toolsOf(), { source, digest, target, float, expected }), {
      name: 'RegistryFailure',
      kind: 'transient',
      message: `somebody else has written ${target.label}:${float} since it was compared`,
    })
    t.equal(stored.tags.get(float), promoted.digest)
    t.notOk(stored.tags.has(pruneTag))
  }
  await copyImage(toolsOf(), { source, digest, target, float, expected: { digest: promoted.digest } })
  t.equal(stored.tags.get(float), digest)
})

await t.test('a float is written once, and is read back', async (t) => {
  const { source, target, original, stored, qci } = await startSides(t)
  tag(stored, float, putImage(stored, 'old'))
  const fresh = putImage(original, 'new')
  const request = { source, digest: fresh.digest, target, float }
  for (const status of [503, 429]) {
    qci.requests.length = 0
    qci.fault = ({ method, path }) =>
      method === 'PUT' && path.endsWith(`/manifests/${float}`) ? { status } : undefined
    await t.rejects(copyImage(toolsOf(), request), { name: 'RegistryFailure' })
    const written = qci.requests.filter(
      ({ path, method }) => method === 'PUT' && path.endsWith(`/manifests/${float}`),
    )
    t.equal(written.length, 1, `${status}`)
  }
  qci.fault = ({ method, path }) =>
    method === 'PUT' && path.endsWith(`/manifests/${float}`) ? { status: 201 } : undefined
  await t.rejects(copyImage(toolsOf(), request), { name: 'RegistryFailure', message: /does not show/ })
})

await t.test('a registry with a history of its own gets no prune tag', async (t) => {
  const { source, target, original, stored } = await startSides(t)
  const { digest } = putImage(original, 'new')
  const old = putImage(stored, 'old')
  tag(stored, float, old)
  const { replaced } = await copyImage(toolsOf(), { source, digest, target, float, keepsOld: false })
  t.strictSame(replaced, { digest: old.digest, pruneTag: undefined })
  t.strictSame([...stored.tags], [[float, digest]])
})

await t.test('a blob that the registry has deleted meanwhile is copied again', async (t) => {
  const { source, target, original, stored } = await startSides(t)
  const tools = toolsOf()
  const request = { source, digest: putImage(original, 'new').digest, target, float }
  await copyImage(tools, request)
  for (const map of [stored.blobs, stored.manifests, stored.tags]) map.clear()
  await t.rejects(copyImage(tools, request), {
    name: 'RegistryFailure',
    message: /404 MANIFEST_BLOB_UNKNOWN/,
  })
  t.match(await copyImage(tools, request), { blobs: { uploaded: 3 } })
  t.equal(stored.tags.get(float), request.digest)
})

await t.test('the signature of an image is copied before the image gets its tag', async (t) => {
  for (const keepsOld of [undefined, false]) {
    const { source, target, original, stored, qci } = await startSides(t)
    const fresh = putImage(original, 'new')
    const signature = `${fresh.digest.replace(':', '-')}.sig`
    tag(original, signature, putImage(original, 'signature'))
    tag(stored, signature, putImage(stored, 'old signature'))
    const order: string[] = []
    qci.onTag = (_repository, name) => order.push(name.replace(/^\d{14}/, ''))
    const options = { hasAttachments: true, ...(keepsOld === undefined ? {} : { keepsOld }) }
    await copyImage(toolsOf(), { source, digest: fresh.digest, target, float, ...options })
    const kept = keepsOld === undefined ? [`_prune___ci_images_mirror__${signature}`] : []
    t.strictSame(order, [...kept, signature, float])
  }
})

await t.test('schema 2 with a layer that is not gzip, where it is to be refused', async (t) => {
  const { source, target, original, qci } = await startSides(t)
  const { digest } = putUncompressed(original, 'odd')
  const request = { source, digest, target, float }
  await t.rejects(copyImage(toolsOf(), { ...request, onlyGzipLayers: true }), {
    message: /which is not gzip/,
  })
  t.strictSame(qci.requests, [])
  await copyImage(toolsOf(), request)
})

await t.test(
  'images of unusual kinds keep their digest; one that cannot be copied leaves QCI as it was',
  async (t) => {
    const gzip = 'application/vnd.oci.image.layer.v1.tar+gzip'
    const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
    type Kind = (original: Parameters<typeof putImage>[0]) => { readonly digest: Digest }
    const imageOf =
      (
        configText: string,
        layersOf: (original: Parameters<Kind>[0]) => readonly object[] | undefined,
      ): Kind =>
      (original) => {
        const config = putBlob(original, configText, 'application/vnd.oci.empty.v1+json')
        return putContent(original, { config, layers: layersOf(original) }, ociManifest)
      }
    const copied: Readonly<Record<string, Kind>> = {
      'an empty layer': imageOf('{}', (original) => [
        putBlob(original, '', gzip),
        putBlob(original, 'x', gzip),
      ]),
      'an empty configuration': imageOf('', () => []),
      'no layers': imageOf('{}', () => undefined),
      'one layer twice': imageOf('{}', (original) => [
        putBlob(original, 'x', gzip),
        putBlob(original, 'x', gzip),
      ]),
      'the configuration as a layer': imageOf('{}', (original) => [putBlob(original, '{}', gzip)]),
      'a foreign layer that the source does not have': imageOf('{}', () => [
        {
          mediaType: foreign,
          size: 9,
          digest: `sha256:${'1'.repeat(64)}`,
          urls: ['https://mcr.microsoft.com/x'],
        },
      ]),
      'a foreign layer without a URL': imageOf('{}', (original) => [putBlob(original, 'x', foreign)]),
      'an index of an index': (original) => {
        const inner = putContent(original, { manifests: [putImage(original, 'x')] }, ociIndex)
        return putContent(original, { manifests: [inner, inner] }, ociIndex)
      },
      'an empty index': (original) => putContent(original, { manifests: [] }, ociIndex),
    }
    for (const [name, put] of Object.entries(copied)) {
      const { source, target, original, stored } = await startSides(t)
      const { digest } = put(original)
      await copyImage(toolsOf(), { source, digest, target, float })
      t.equal(stored.tags.get(float), digest, name)
      t.ok(stored.manifests.get(digest)?.bytes.equals(original.manifests.get(digest)?.bytes as Buffer), name)
    }
    const sizes = [3, -1, 2 ** 53]
    for (const size of sizes) {
      const { source, target, original, stored } = await startSides(t)
      const { digest } = imageOf('{}', () => [{ ...putBlob(original, 'a layer', gzip), size }])(original)
      await t.rejects(copyImage(toolsOf(), { source, digest, target, float }), { name: 'RegistryFailure' })
      t.equal(stored.tags.size, 0, `a size of ${size}`)
    }
  },
)
