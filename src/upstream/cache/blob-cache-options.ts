/**
 * What the cache of blobs needs.
 */
import type { Digest } from '../../oci/reference.ts'
import type { EntryChecksOptions } from '../../storage/entry-checks.ts'
import type { Storage } from '../../storage/storage.ts'
import type { OpenBlob } from '../../oci/image-source.ts'
import type { S3Blobs } from './s3-blobs.ts'

/**
 * Where a blob came from. `shared`: it followed the fill of another; `live`: it began one, and `s3` one from S3; `bypassed`: nothing of it
 * was stored; `redirected`: the client reads it from S3.
 */
export type BlobTier = 'disk' | 's3' | 'shared' | 'live' | 'bypassed' | 'redirected'

export interface BlobCacheOptions {
  /** Asks upstream. */
  readonly open: OpenBlob
  readonly storage: Pick<Storage, 'blobs' | 'buffers' | 'isStuck'>
  /** The tier between the disk and upstream, if there is one. */
  readonly s3?: S3Blobs | undefined
  /** Bytes of a blob, where a manifest says them. */
  readonly sizeOf: (digest: Digest) => number | undefined
  readonly observe: {
    readonly served: (tier: BlobTier) => void
    /** Bytes that clients got from a stored file or a fill. */
    readonly sent: (bytes: number) => void
  }
  /** Fills of all requesters at a time. */
  readonly maxFills?: number
  /** How long a client waits for the check of an entry. */
  readonly checks?: Pick<EntryChecksOptions, 'maxWaitMs' | 'maxPatienceMs'>
}
