/**
 * The tier on the disk, for the pipeline: blobs, manifests by digest, and tags. Without storage each of them is passed through.
 */
import type { Storage } from '../../storage/storage.ts'
import type { FetchManifest, OpenBlob } from '../../oci/image-source.ts'
import { createBlobCache, type BlobCacheOptions } from './blob-cache.ts'
import type { ManifestCacheOptions } from './manifest-cache.ts'
import { createStoredManifests } from './stored-manifests.ts'
import { createStoredTags } from './stored-tags.ts'

export interface StoredTierOptions extends Pick<BlobCacheOptions, 'observe'> {
  readonly storage: Storage
}

export interface StoredTier {
  readonly storingBlobs: (open: OpenBlob) => OpenBlob
  readonly storingManifests: (fetch: FetchManifest) => FetchManifest
  /**
   * For the cache in memory.
   * @param learning is told of each manifest that is served for a tag
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

export const createStoredTier = (
  options: StoredTierOptions | undefined,
  sizeOf: BlobCacheOptions['sizeOf'],
): StoredTier => {
  if (options === undefined) return noTier
  const { storage, observe } = options
  const manifests = createStoredManifests(storage.manifests)
  const now = () => performance.now()
  return {
    storingBlobs: (open) => createBlobCache({ open, storage, sizeOf, observe }),
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
