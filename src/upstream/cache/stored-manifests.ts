/**
 * Manifests from the disk and from S3, for those that are not in memory. A manifest by digest never changes. A tag is always requested from
 * upstream; `stored-tags.ts` has its last digest for times when upstream fails.
 */
import { isDigest, type Digest } from '../../oci/reference.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { FetchManifest, Manifest } from '../../oci/image-source.ts'
import { isVerified } from '../manifests.ts'
import type { S3Manifests } from './s3-manifests.ts'

export interface StoredManifests {
  /** The same fetch: reads the disk first, and stores what it fetches. */
  readonly storing: (fetch: FetchManifest) => FetchManifest
  /** Undefined for a manifest that is not stored. Never rejects. */
  readonly read: (digest: Digest, requester: string) => Promise<Manifest | undefined>
}

/** @param s3 the tier between the disk and upstream, if there is one */
export const createStoredManifests = (
  store: Pick<DocumentStore, 'get' | 'put'>,
  s3?: S3Manifests,
): StoredManifests => {
  const read = async (digest: Digest, requester: string): Promise<Manifest | undefined> => {
    const onDisk = await store.get(digest, requester)
    const document = onDisk ?? (await s3?.read(digest))
    if (document === undefined) return undefined
    if (onDisk === undefined) void store.put(digest, document, requester)
    else s3?.offer(digest, requester)
    const { mediaType, content } = document
    return { digest, mediaType, content, size: content.length, isStale: false }
  }
  return {
    read,
    storing: (fetch) => async (request) => {
      const { reference, requester, method } = request
      const stored = isDigest(reference) ? await read(reference, requester) : undefined
      if (stored !== undefined) return method === 'HEAD' ? { ...stored, content: undefined } : stored
      const manifest = await fetch(request)
      const { digest, mediaType, content } = manifest
      // No request waits for this write.
      if (content !== undefined && isVerified(manifest))
        void store.put(digest, { mediaType, content }, requester).then(() => s3?.offer(digest, requester))
      return manifest
    },
  }
}
