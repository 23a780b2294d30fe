/**
 * How many bytes a blob has, by the manifests that name it. A storage that sends it in chunks does not say, and an end that comes too
 * early would look like the end.
 */
import { LRUCache } from 'lru-cache'
import { parseManifest } from '../../oci/manifest.ts'
import type { Digest } from '../../oci/reference.ts'
import type { FetchManifest } from '../manifests.ts'

export interface BlobSizes {
  /** The same, and what it fetches is learnt from. */
  readonly learning: (fetch: FetchManifest) => FetchManifest
  /** Bytes; undefined for what no manifest has named, or two have named differently. */
  readonly sizeOf: (digest: Digest) => number | undefined
}

/** About 150 bytes each; the layers of ten thousand images. */
const defaultMax = 200_000

/** Attack: a manifest that names another image's layer with a wrong size. Where two differ, none is believed. */
const disputed = -1

export const createBlobSizes = (max = defaultMax): BlobSizes => {
  // `maxSize` instead of `max`: lru-cache reserves memory for `max` entries at once.
  const sizes = new LRUCache<Digest, number>({ maxSize: max, sizeCalculation: () => 1 })
  const learn = (digest: Digest, size: number): void => {
    const known = sizes.get(digest) ?? size
    sizes.set(digest, known === size ? size : disputed)
  }
  return {
    learning: (fetch) => async (request) => {
      const manifest = await fetch(request)
      for (const [digest, size] of sizesIn(manifest.content)) learn(digest, size)
      return manifest
    },
    sizeOf: (digest) => {
      const size = sizes.get(digest)
      return size === disputed ? undefined : size
    },
  }
}

const sizesIn = (content: Buffer | undefined): readonly (readonly [Digest, number])[] => {
  const parsed = content && parseManifest(content)
  return typeof parsed === 'object' ? parsed.sizes : []
}
