/**
 * The options of the cache of blobs.
 */
import type { Digest } from '../../oci/reference.ts'
import type { EntryChecksOptions } from '../../storage/entry-checks.ts'
import type { Storage } from '../../storage/storage.ts'
import type { OpenBlob } from '../../oci/image-source.ts'
import type { S3Blobs } from './s3-blobs.ts'

/**
 * The source of a blob. `shared`: the request followed the fill of another one; `live`: it started a fill from upstream; `s3`: it started a
 * fill from S3; `bypassed`: nothing was stored; `redirected`: the client reads the blob from S3.
 */
export type BlobTier = 'disk' | 's3' | 'shared' | 'live' | 'bypassed' | 'redirected'

export interface BlobCacheOptions {
  /** Sends the request to upstream. */
  readonly open: OpenBlob
  readonly storage: Pick<Storage, 'blobs' | 'buffers' | 'isStuck'>
  /** The tier between the disk and upstream, if there is one. */
  readonly s3?: S3Blobs | undefined
  /** The size of a blob in bytes, if a manifest states it. */
  readonly sizeOf: (digest: Digest) => number | undefined
  readonly observe: {
    readonly served: (tier: BlobTier) => void
    /** Called with the bytes that a client got from a stored file or a fill. */
    readonly sent: (bytes: number) => void
  }
  /** Maximum of fills at a time, for all requesters together. */
  readonly maxFills?: number
  /** How long a client waits for the check of an entry. */
  readonly checks?: Pick<EntryChecksOptions, 'maxWaitMs' | 'maxPatienceMs'> | undefined
}
