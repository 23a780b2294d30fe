/**
 * The tiers on the disk and in S3, for the pipeline: blobs, manifests by digest, and tags. Without storage, each stage is returned
 * unchanged.
 */
import type { S3Tier } from '../../storage/s3/s3-tier.ts'
import type { Storage } from '../../storage/storage.ts'
import type { FetchManifest, OpenBlob } from '../../oci/image-source.ts'
import type { RoundTrip } from '../client/round-trip.ts'
import { createBlobCache } from './blob-cache.ts'
import type { BlobCacheOptions } from './blob-cache-options.ts'
import type { ManifestCacheOptions } from './manifest-cache-options.ts'
import { S3Blobs, type S3BlobsOptions } from './s3-blobs.ts'
import { createS3Manifests } from './s3-manifests.ts'
import { createStoredManifests } from './stored-manifests.ts'
import { createStoredTags } from './stored-tags.ts'

export interface StoredTierOptions extends Pick<BlobCacheOptions, 'observe'> {
  readonly storage: Storage
  /** Undefined without `--cache-s3`. */
  readonly s3?: (Pick<S3BlobsOptions, 'delivery' | 'observe'> & { readonly tier: S3Tier }) | undefined
}

export interface StoredTier {
  readonly storingBlobs: (open: OpenBlob) => OpenBlob
  readonly storingManifests: (fetch: FetchManifest) => FetchManifest
  /**
   * For the cache in memory.
   * @param learning is called for each manifest that is served for a tag
   */
  readonly forMemory: (
    learning: (fetch: FetchManifest) => FetchManifest,
  ) => Pick<ManifestCacheOptions, 'stored'>
}

const noTier: StoredTier = {
  storingBlobs: (open) => open,
  storingManifests: (fetch) => fetch,
  forMemory: () => ({}),
}

/** @param roundTrip sends GETs to S3 */
export const createStoredTier = (
  options: StoredTierOptions | undefined,
  sizeOf: BlobCacheOptions['sizeOf'],
  roundTrip: RoundTrip,
): StoredTier => {
  if (options === undefined) return noTier
  const { storage, observe, s3 } = options
  const manifests = createStoredManifests(storage.manifests, s3 && createS3Manifests({ ...s3, roundTrip }))
  const now = () => performance.now()
  const s3Blobs = (open: OpenBlob) => s3 && new S3Blobs({ ...s3, roundTrip, open, sizeOf })
  return {
    storingBlobs: (open) => createBlobCache({ open, storage, s3: s3Blobs(open), sizeOf, observe }),
    storingManifests: manifests.storing,
    forMemory: (learning) => ({
      stored: {
        tags: (tags) => createStoredTags(tags, { journal: storage.tags, now }),
        read: async (tag, digest, requester) => {
          const manifest = await manifests.read(digest, requester)
          if (manifest === undefined) return undefined
          const fetch = learning(async () => await Promise.resolve(manifest))
          return await fetch({ method: 'GET', reference: tag, accept: undefined, requester })
        },
      },
    }),
  }
}
