/**
 * Decides which objects are uploaded, and reports the outcome. An object that S3 has with the right size is not written again, unless a
 * replica read wrong bytes from it.
 */
import type { EntryKind } from '../cache-directory.ts'
import { objectKey } from './object-key.ts'
import type { ObjectIndex } from './object-index.ts'
import type { ObjectStore } from './object-store.ts'
import { describeS3Error, isFailing, statusOf } from './s3-errors.ts'
import type { S3Observers, UploadOutcome } from './s3-observers.ts'
import type { S3Requests } from './s3-requests.ts'
import type { UploadContent, UploadSource } from './upload-source.ts'
import type { UploadQueue } from './upload-queue.ts'

export interface UploadsOptions {
  readonly prefix: string
  readonly store: Promise<ObjectStore>
  readonly requests: Pick<S3Requests, 'sizeOf'>
  readonly index: ObjectIndex
  readonly queue: UploadQueue
  readonly source: UploadSource
  readonly observe: Pick<S3Observers, 'uploaded' | 'corrupt'>
}

/** The time limit of an upload: fixed milliseconds, and milliseconds for each byte (256 KiB a second). */
const baseMs = 60_000
const msPerByte = 1000 / (256 * 1024)

export class Uploads {
  readonly #options: UploadsOptions

  constructor(options: UploadsOptions) {
    this.#options = options
  }

  /** Uploads it from the disk when its turn comes, unless S3 has it. */
  offer(kind: EntryKind, digest: string, requester: string): void {
    const { prefix, index, queue } = this.#options
    const key = objectKey(prefix, kind, digest)
    if (!index.mayLack(key) || queue.has(key)) return
    const upload = async (signal: AbortSignal) => await this.#upload(kind, digest, key, signal)
    queue.add(key, requester, upload, () => this.#ended(kind, key, 'dropped', 0))
  }

  /** Never rejects. */
  async #upload(kind: EntryKind, digest: string, key: string, signal: AbortSignal): Promise<void> {
    let content: UploadContent | undefined
    try {
      content = await this.#options.source.open(kind, digest)
      if (content === undefined) return this.#ended(kind, key, 'gone', 0)
      if (await this.#isPresent(kind, key, content.size))
        return this.#ended(kind, key, 'present', content.size)
      await this.#put(key, content, signal)
      this.#ended(kind, key, 'stored', content.size)
    } catch (error) {
      this.#ended(kind, key, outcomeOf(error, signal), 0, error)
    } finally {
      await content?.close()
    }
  }

  /** @throws {Error} if S3 gives no answer: an upload would fail as well */
  async #isPresent(kind: EntryKind, key: string, size: number): Promise<boolean> {
    const { index, requests, observe } = this.#options
    if (index.isWrong(key)) return false
    const found = await requests.sizeOf(key)
    if (found !== undefined && found !== size) observe.corrupt(kind, 'size')
    return found === size
  }

  async #put(key: string, content: UploadContent, signal: AbortSignal): Promise<void> {
    const store = await this.#options.store
    const deadline = AbortSignal.timeout(baseMs + Math.ceil(content.size * msPerByte))
    await store.put(key, content.size, content.chunks, AbortSignal.any([signal, deadline]))
  }

  #ended(kind: EntryKind, key: string, outcome: UploadOutcome, size: number, error?: unknown): void {
    const { index, observe } = this.#options
    if (outcome === 'present') index.found(key, size)
    else if (outcome === 'stored') index.uploaded(key, size)
    else if (outcome !== 'cancelled') index.uploadFailed(key)
    const bytes = outcome === 'stored' ? size : 0
    observe.uploaded(kind, outcome, bytes, error === undefined ? undefined : describeS3Error(error))
  }
}

const outcomeOf = (error: unknown, signal: AbortSignal): UploadOutcome => {
  if (signal.aborted) return 'cancelled'
  const status = statusOf(error)
  return status === undefined || isFailing(status) ? 'failed' : 'refused'
}
