/**
 * The options of the cache of manifests.
 */
import type { Digest, QciTag } from '../../oci/reference.ts'
import type { FetchManifest, Manifest } from '../../oci/image-source.ts'
import type { DigestsByTag } from './digests-by-tag.ts'

/** Where a manifest came from. `shared`: from the fetch of another request. */
export type ManifestSource = 'cached' | 'live' | 'shared' | 'stale'

export interface ManifestCacheOptions {
  /** Fetches from upstream. */
  readonly fetch: FetchManifest
  /** Bound on the cached manifests; 0 caches none. */
  readonly maxBytes: number
  /** Milliseconds for which a tag is assumed not to move. */
  readonly tagTtlMs: number
  /** Milliseconds since upstream last confirmed a tag for which it is served while upstream fails. */
  readonly staleIfErrorMs: number
  /** Called for each manifest that is served. */
  readonly observe: (served: { source: ManifestSource }) => void
  /** The cache on a disk; none unless given. */
  readonly stored?: {
    /** The digests of tags, including those of an earlier run of the program. */
    readonly tags: (tags: DigestsByTag) => DigestsByTag
    /** Undefined for a manifest that is not stored. Never rejects. */
    readonly read: (tag: QciTag, digest: Digest, requester: string) => Promise<Manifest | undefined>
  }
  /** Milliseconds that a request waits for upstream if a stale manifest could be served. */
  readonly maxWaitMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}
