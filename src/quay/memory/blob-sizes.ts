/**
 * How many bytes a blob has, by the manifests that name it. A storage that sends it in chunks does not say, and an end that comes too
 * early would look like the end.
 */
import { LRUCache } from 'lru-cache'
import { isDigest, type Digest } from '../../reference.ts'
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
  const sizes = new LRUCache<Digest, number>({ max })
  const learn = (digest: Digest, size: number): void => {
    const known = sizes.get(digest) ?? size
    sizes.set(digest, known === size ? size : disputed)
  }
  return {
    learning: (fetch) => async (request) => {
      const manifest = await fetch(request)
      for (const [digest, size] of descriptorsOf(manifest.content)) learn(digest, size)
      return manifest
    },
    sizeOf: (digest) => {
      const size = sizes.get(digest)
      return size === disputed ? undefined : size
    },
  }
}

const descriptorsOf = (content: Buffer | undefined): readonly (readonly [Digest, number])[] => {
  const { config, layers } = parse(content) as { config?: unknown; layers?: unknown }
  return [config, ...(Array.isArray(layers) ? (layers as readonly unknown[]) : [])].flatMap((descriptor) => {
    const { digest, size } = (descriptor ?? {}) as { digest?: unknown; size?: unknown }
    const isSaid =
      typeof digest === 'string' && isDigest(digest) && Number.isSafeInteger(size) && (size as number) > 0
    return isSaid ? [[digest, size as number] as const] : []
  })
}

const parse = (content: Buffer | undefined): object => {
  try {
    return (JSON.parse(content?.toString() ?? '{}') as object | null) ?? {}
  } catch {
    // Its digest is right, so this is what was pushed: it names nothing.
    return {}
  }
}
