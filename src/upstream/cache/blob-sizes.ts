/**
 * The sizes of blobs in bytes, from the manifests that name them. A storage that sends a blob in chunks sends no size, and a body that is
 * cut off would look complete.
 */
import { createBoundedCache } from '../../concurrency/bounded-cache.ts'
import { parseManifest } from '../../oci/manifest.ts'
import type { Digest } from '../../oci/reference.ts'
import type { FetchManifest } from '../../oci/image-source.ts'

export interface BlobSizes {
  /** Wraps a fetch, and records the sizes in each manifest that it returns. */
  readonly learning: (fetch: FetchManifest) => FetchManifest
  /** Bytes; undefined for a blob that no manifest has named, or whose size two manifests contradict. */
  readonly sizeOf: (digest: Digest) => number | undefined
}

/** About 150 bytes each; the layers of ten thousand images. */
const defaultMax = 200_000

/** Attack: a manifest that names a layer of another image with a wrong size. If two sizes differ, neither counts. */
const disputed = -1

export const createBlobSizes = (max = defaultMax): BlobSizes => {
  const sizes = createBoundedCache<Digest, number>(max)
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
