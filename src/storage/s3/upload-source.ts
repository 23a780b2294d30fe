/**
 * Reads the files of the disk for an upload, and compares them with their digest once more. So if the disk returns wrong bytes, or somebody
 * changed a file, other replicas do not get these bytes.
 */
import { createHash } from 'node:crypto'
import type { EntryKind } from '../cache-directory.ts'
import type { ContentStore } from '../content-store.ts'
import { encodeDocument, type DocumentStore } from '../documents.ts'
import { WrongContent } from '../fill-outcome.ts'
import type { StoredFile } from '../stored-file.ts'

export interface UploadContent {
  /** Bytes of the object. */
  readonly size: number
  /** To be read once. @throws {WrongContent} instead of ending, if the bytes do not match the digest */
  readonly chunks: AsyncIterable<Buffer>
  readonly close: () => Promise<void>
}

export interface UploadSource {
  /** Undefined if the disk does not have it any more. */
  readonly open: (kind: EntryKind, digest: string) => Promise<UploadContent | undefined>
}

/** The requester whose turns at the disk the uploads take. */
const requester = 'uploads to S3'
const chunkBytes = 256 * 1024

export const createUploadSource = (storage: {
  readonly blobs: Pick<ContentStore, 'find'>
  readonly manifests: Pick<DocumentStore, 'get'>
}): UploadSource => ({
  open: async (kind, digest) => {
    if (kind === 'blobs') {
      const file = await storage.blobs.find(digest, requester)
      return (
        file && { size: file.size, chunks: verified(file, digest), close: async () => await file.close() }
      )
    }
    const document = await storage.manifests.get(digest, requester)
    const bytes = document && encodeDocument(document)
    return bytes && { size: bytes.length, chunks: once(bytes), close: async () => undefined }
  },
})

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes)
}

async function* verified(file: Pick<StoredFile, 'size' | 'read'>, digest: string): AsyncGenerator<Buffer> {
  const [algorithm = '', hex] = digest.split(':')
  const hash = createHash(algorithm)
  for (let at = 0; at < file.size;) {
    // The SDK uses this memory until the part is sent.
    const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, file.size - at))
    const chunk = buffer.subarray(0, await file.read(buffer, at))
    hash.update(chunk)
    at += chunk.length
    yield chunk
  }
  if (hash.digest('hex') !== hex) throw new WrongContent('the stored bytes are not those of the digest')
}
