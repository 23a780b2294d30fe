import t from 'tap'
import type { QciTag } from '../../../src/oci/reference.ts'
import type { S3Tier } from '../../../src/storage/s3/s3-tier.ts'
import { createDigestsByTag } from '../../../src/upstream/cache/digests-by-tag.ts'
import { createStoredTier } from '../../../src/upstream/cache/stored-tier.ts'
import type { FetchManifest, ManifestRequest } from '../../../src/oci/image-source.ts'
import { bytesOf } from '../../storage/fixtures.ts'
import { until } from '../../support/until.ts'
import { allOf, cacheFor, requestFor, scriptedUpstream, smallIndex } from './scripted-upstream.ts'

const tag = 'ocp_4.5_base' as QciTag
const noRoundTrip = async () => await Promise.reject(new Error('S3 is not configured'))
const fetch: FetchManifest = async () => await Promise.resolve(smallIndex)
const request: ManifestRequest = {
  method: 'GET',
  reference: smallIndex.digest,
  accept: undefined,
  requester: 'alice',
}

await t.test('without storage everything is passed through', async (test) => {
  const tier = createStoredTier(undefined, () => undefined, noRoundTrip)
  const { open } = scriptedUpstream()
  test.equal(tier.storingBlobs(open), open)
  test.equal(tier.storingManifests(fetch), fetch)
  test.strictSame(
    tier.forMemory((of) => of),
    {},
  )
})

await t.test(
  'blobs, manifests and tags are stored; manifests that are served for a tag are learnt',
  async (test) => {
    const blob = bytesOf(50_000)
    const upstream = scriptedUpstream(blob)
    const { storage, ended } = cacheFor(test, upstream)
    const observe = { served: () => undefined, sent: () => undefined }
    const tier = createStoredTier({ storage, observe }, () => undefined, noRoundTrip)
    const open = tier.storingBlobs(upstream.open)
    test.ok((await allOf(await open(requestFor(blob)))).equals(blob))
    await until(() => ended('stored') === 1)
    test.ok((await allOf(await open(requestFor(blob)))).equals(blob))
    test.strictSame(upstream.requests, ['GET'])

    const learnt: ManifestRequest[] = []
    const { stored } = tier.forMemory((of) => async (asked) => {
      learnt.push(asked)
      return await of(asked)
    })
    test.equal(await stored?.read(tag, smallIndex.digest, 'alice'), undefined)
    test.strictSame(learnt, [], 'nothing is learnt of what is not there')
    await tier.storingManifests(fetch)(request)
    await until(() => storage.manifests.stats().entries === 1)
    test.strictSame(await stored?.read(tag, smallIndex.digest, 'alice'), smallIndex)
    test.match(learnt, [{ reference: tag, requester: 'alice' }])
    const known = () =>
      createDigestsByTag({ tagTtlMs: 1000, staleIfErrorMs: 10_000, now: () => performance.now() })
    stored?.tags(known()).confirm('a', smallIndex.digest, performance.now())
    test.equal(stored?.tags(known()).get('a')?.digest, smallIndex.digest, 'also for tags of another life')
  },
)

await t.test('with S3, a blob and a manifest that S3 has come from there', async (test) => {
  const blob = bytesOf(50_000)
  const upstream = scriptedUpstream(blob)
  const { storage } = cacheFor(test, upstream)
  const kinds: string[] = []
  const s3 = {
    get: async (kind: string) => await Promise.resolve(void kinds.push(kind)),
    offer: (kind: string) => void kinds.push(`offer ${kind}`),
  } as unknown as S3Tier
  const observe = { served: () => undefined, sent: () => undefined }
  const ofS3 = { tier: s3, delivery: 'stream', observe: { read: () => undefined } } as const
  const tier = createStoredTier({ storage, observe, s3: ofS3 }, () => undefined, noRoundTrip)
  test.ok((await allOf(await tier.storingBlobs(upstream.open)(requestFor(blob)))).equals(blob))
  await tier.storingManifests(fetch)(request)
  await until(() => kinds.length === 4)
  test.strictSame(kinds.toSorted(), ['blobs', 'manifests', 'offer blobs', 'offer manifests'])
})
