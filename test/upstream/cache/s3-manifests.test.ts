import t, { type Test } from 'tap'
import { encodeDocument } from '../../../src/storage/documents.ts'
import { objectKey } from '../../../src/storage/s3/object-key.ts'
import { S3Tier } from '../../../src/storage/s3/s3-tier.ts'
import { createUploadSource } from '../../../src/storage/s3/upload-source.ts'
import { createS3Manifests } from '../../../src/upstream/cache/s3-manifests.ts'
import { createStoredManifests } from '../../../src/upstream/cache/stored-manifests.ts'
import { createS3Network } from '../../../src/upstream/client/s3-network.ts'
import type { FetchManifest, ManifestRequest } from '../../../src/oci/image-source.ts'
import { noted, storeFor } from '../../storage/s3/fixtures.ts'
import { startS3 } from '../../support/s3-server.ts'
import { until } from '../../support/until.ts'
import { cacheFor, scriptedUpstream, smallIndex } from './scripted-upstream.ts'

const { digest, mediaType } = smallIndex
const content = smallIndex.content as Buffer
const key = objectKey('', 'manifests', digest)
const request: ManifestRequest = { method: 'GET', reference: digest, accept: undefined, requester: 'alice' }

const setUp = async (test: Test) => {
  const s3 = await startS3(test)
  const { storage } = cacheFor(test, scriptedUpstream())
  const { observe, told } = noted()
  const tier = new S3Tier({
    prefix: '',
    openStore: async () => await storeFor(test, s3),
    source: createUploadSource(storage),
    observe,
    deadlineMs: 10_000,
  })
  await tier.start()
  const network = createS3Network({ ca: undefined, maxConnections: 4 })
  test.teardown(async () => await Promise.all([tier.close(), network.close()]))
  const manifests = createS3Manifests({ tier, roundTrip: network.roundTrip })
  let fetched = 0
  const fetch: FetchManifest = async () => {
    fetched += 1
    return await Promise.resolve(smallIndex)
  }
  const stored = createStoredManifests(storage.manifests, manifests)
  return { s3, told, storage, tier, manifests, get: stored.storing(fetch), fetched: () => fetched }
}

await t.test('a manifest that S3 does not have is fetched, and uploaded once', async (test) => {
  const { s3, storage, tier, get, fetched } = await setUp(test)
  test.strictSame(await get(request), smallIndex)
  await until(() => s3.objects.has(key))
  await until(() => tier.stats().uploads === 0)
  test.strictSame(s3.objects.get(key), encodeDocument({ mediaType, content }))
  test.equal(storage.manifests.stats().entries, 1)
  test.strictSame(await get(request), smallIndex, 'from the disk')
  test.equal(fetched(), 1)
  test.equal(s3.requests.filter((line) => line.startsWith('PUT')).length, 1)
})

await t.test('a manifest that S3 has is not fetched, and the disk has it then', async (test) => {
  const { s3, storage, get, fetched } = await setUp(test)
  s3.objects.set(key, encodeDocument({ mediaType, content }) as Buffer)
  test.strictSame(await get(request), smallIndex)
  await until(() => storage.manifests.stats().entries === 1)
  test.equal(fetched(), 0)
})

await t.test('attack: other bytes, and a type that is no manifest, are replaced', async (test) => {
  for (const wrong of [
    { mediaType, content: Buffer.from('{"schemaVersion":3}') },
    { mediaType: 'text/html', content },
    { mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws', content },
  ]) {
    const { s3, told, get, fetched } = await setUp(test)
    s3.objects.set(key, encodeDocument(wrong) as Buffer)
    test.strictSame(await get(request), smallIndex)
    test.equal(fetched(), 1)
    test.ok(told.includes('manifests corrupt digest'))
    await until(() => s3.objects.get(key)?.equals(encodeDocument({ mediaType, content }) as Buffer) === true)
  }
})

await t.test('an object that is no manifest by its size, and one that breaks off', async (test) => {
  const { s3, manifests } = await setUp(test)
  s3.objects.set(key, Buffer.alloc(5 * 1024 * 1024))
  test.equal(await manifests.read(digest), undefined)
  s3.objects.set(key, encodeDocument({ mediaType, content }) as Buffer)
  s3.fault({ cutAt: 10 })
  test.equal(await manifests.read(digest), undefined)
  test.strictSame(await manifests.read(digest), { mediaType, content })
})
