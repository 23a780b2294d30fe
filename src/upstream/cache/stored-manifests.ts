/**
 * Manifests from the disk, behind those in memory. By digest they never change. A tag is always asked for: what it was last is told by
 * `stored-tags.ts`, for when upstream has no answer.
 */
import { isDigest, type Digest } from '../../oci/reference.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { FetchManifest, Manifest } from '../../oci/image-source.ts'
import { isVerified } from '../manifests.ts'

export interface StoredManifests {
  /** The same, from the disk where it can be; what it fetches is stored. */
  readonly storing: (fetch: FetchManifest) => FetchManifest
  /** Undefined for a manifest that is not stored. Never rejects. */
  readonly read: (digest: Digest, requester: string) => Promise<Manifest | undefined>
}

export const createStoredManifests = (store: Pick<DocumentStore, 'get' | 'put'>): StoredManifests => {
  const read = async (digest: Digest, requester: string): Promise<Manifest | undefined> => {
    const document = await store.get(digest, requester)
    if (document === undefined) return undefined
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
      // Nobody waits for the disk.
      if (content !== undefined && isVerified(manifest))
        void store.put(digest, { mediaType, content }, requester)
      return manifest
    },
  }
}
