/**
 * Stores manifests: a media type, a newline, and the bytes. Each is small and read as a whole. Its bytes are compared with the digest each
 * time.
 */
import { createHash } from 'node:crypto'
import type { ContentStore } from './content-store.ts'
import type { StoredFile } from './stored-file.ts'

export interface StoredDocument {
  readonly mediaType: string
  readonly content: Buffer
}

/** Characters. */
const maxTypeLength = 255
const newline = 10

/** Undefined for a type with a line break. */
export const encodeDocument = ({ mediaType, content }: StoredDocument): Buffer | undefined =>
  mediaType.length > maxTypeLength || mediaType.includes('\n')
    ? undefined
    : Buffer.concat([Buffer.from(`${mediaType}\n`), content])

/** Undefined for bytes of another digest. */
export const decodeDocument = (digest: string, bytes: Buffer): StoredDocument | undefined => {
  const end = bytes.indexOf(newline)
  const content = bytes.subarray(end + 1)
  const [algorithm = '', hex] = digest.split(':')
  if (end < 1 || createHash(algorithm).update(content).digest('hex') !== hex) return undefined
  return { mediaType: bytes.toString('utf8', 0, end), content }
}

export class DocumentStore {
  readonly #store: ContentStore

  constructor(store: ContentStore) {
    this.#store = store
  }

  stats(): ReturnType<ContentStore['stats']> {
    return this.#store.stats()
  }

  forget(digest: string): void {
    this.#store.forget(digest)
  }

  async published(): Promise<void> {
    await this.#store.published()
  }

  /** Undefined for a document that is missing or was changed. Never rejects. */
  async get(digest: string, requester: string): Promise<StoredDocument | undefined> {
    const file = await this.#store.find(digest, requester)
    if (file === undefined) return undefined
    const bytes = await readWhole(file)
    await file.close()
    if (bytes === undefined) return undefined
    const document = decodeDocument(digest, bytes)
    if (document === undefined) this.#store.drop(digest, file.size, 'digest')
    return document
  }

  /** Resolves when it is stored, or cannot be stored. Never rejects. */
  async put(digest: string, document: StoredDocument, requester: string): Promise<void> {
    const bytes = encodeDocument(document)
    if (bytes === undefined || this.#store.has(digest)) return
    const fileDigest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    const fill = await this.#store.begin(digest, bytes.length, requester, fileDigest)
    fill?.add(bytes, () => undefined)
    await fill?.complete()
  }
}

/** Undefined if it cannot be read. */
const readWhole = async (file: StoredFile): Promise<Buffer | undefined> => {
  const bytes = Buffer.allocUnsafeSlow(file.size)
  try {
    for (let at = 0; at < bytes.length;) at += await file.read(bytes.subarray(at), at)
    return bytes
  } catch {
    return undefined
  }
}
