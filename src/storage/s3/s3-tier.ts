/**
 * The tier of the cache that replicas share: an S3 bucket. It never fails a pull: a blob that is missing in S3, or does not arrive in time,
 * comes from upstream. Bytes of S3 are compared with the digest.
 */
import type { EntryKind } from '../cache-directory.ts'
import { createSingleFlight, type SingleFlight } from '../../concurrency/single-flight.ts'
import { objectKey } from './object-key.ts'
import { ObjectIndex } from './object-index.ts'
import type { ObjectStore } from './object-store.ts'
import { S3Circuit } from './s3-circuit.ts'
import type { CorruptObject, S3Observers } from './s3-observers.ts'
import { S3Requests, type FetchObject, type S3Reply } from './s3-requests.ts'
import type { UploadSource } from './upload-source.ts'
import { UploadQueue } from './upload-queue.ts'
import { Uploads } from './uploads.ts'

export interface S3TierOptions {
  readonly prefix: string
  /** Loads the SDK. @throws {Error} if it cannot be configured */
  readonly openStore: () => Promise<ObjectStore>
  readonly source: UploadSource
  readonly observe: S3Observers
  /** Milliseconds within which S3 has to send the first byte of a body. */
  readonly deadlineMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Within a region, S3 answers in a tenth of this. The rest of the time that a client waits is for upstream, which is asked next. */
const defaultDeadlineMs = 2500

export class S3Tier {
  readonly #options: S3TierOptions
  readonly #index: ObjectIndex
  readonly #circuit: S3Circuit
  readonly #queue = new UploadQueue()
  readonly #requests: S3Requests
  readonly #uploads: Uploads
  readonly #lookUps: SingleFlight<number | undefined>
  readonly #store = Promise.withResolvers<ObjectStore>()

  constructor(options: S3TierOptions) {
    const { observe, prefix, source, deadlineMs = defaultDeadlineMs } = options
    const { now = () => performance.now() } = options
    const store = this.#store.promise
    store.catch(() => undefined)
    this.#options = options
    this.#index = new ObjectIndex(now)
    this.#circuit = new S3Circuit({ onChange: observe.circuit, now })
    this.#requests = new S3Requests({ store, circuit: this.#circuit, observe, deadlineMs })
    const [requests, index, queue] = [this.#requests, this.#index, this.#queue]
    this.#uploads = new Uploads({ prefix, store, source, observe, requests, index, queue })
    this.#lookUps = createSingleFlight({ now })
  }

  /** Until it resolves, every request waits for it, up to its own deadline. @throws {Error} if the SDK cannot be configured */
  async start(): Promise<void> {
    this.#store.resolve(await this.#options.openStore())
  }

  /** `uploads`: running and waiting uploads. */
  stats(): { readonly isOpen: boolean; readonly uploads: number } {
    return { isOpen: this.#circuit.isOpen, uploads: this.#queue.size }
  }

  /** Aborts all uploads and removes their parts, within some seconds. */
  async close(): Promise<void> {
    this.#store.reject(new Error('closed'))
    await this.#queue.close()
    await this.#store.promise.then(
      (store) => store.close(),
      () => undefined,
    )
  }

  /**
   * @param fetch sends a GET to a signed URL
   * @returns undefined if S3 does not have it, or cannot give it now; else an answer of 200, 206 or 416. Never rejects
   */
  async get<Reply extends S3Reply>(
    kind: EntryKind,
    digest: string,
    fetch: FetchObject<Reply>,
    signal?: AbortSignal,
  ): Promise<Reply | undefined> {
    const key = this.#keyOf(kind, digest)
    if (this.#index.isAbsent(key)) return undefined
    try {
      const reply = await this.#requests.get(key, fetch, signal)
      if (reply === undefined) this.#index.missed(key)
      return reply
    } catch {
      return undefined
    }
  }

  /**
   * Its size in bytes; undefined if S3 does not have it or gives no answer now. Sends a request, unless the size is cached. Never rejects.
   */
  async sizeOf(kind: EntryKind, digest: string): Promise<number | undefined> {
    const key = this.#keyOf(kind, digest)
    const known = this.#index.sizeOf(key)
    if (known !== undefined || this.#index.isAbsent(key)) return known
    try {
      return (await this.#lookUps({ key, load: async () => await this.#lookUp(key) })).answer
    } catch {
      return undefined
    }
  }

  /** A URL for a client. Undefined if S3 does not have it, or may be unavailable. The URL must not be logged. Never rejects. */
  async urlOf(kind: EntryKind, digest: string): Promise<URL | undefined> {
    const size = await this.sizeOf(kind, digest)
    if (size === undefined || this.#circuit.isOpen) return undefined
    return await this.#requests.signedUrl(this.#keyOf(kind, digest)).catch(() => undefined)
  }

  /** Notes that S3 has sent it, and its size in bytes. */
  found(kind: EntryKind, digest: string, size: number): void {
    this.#index.found(this.#keyOf(kind, digest), size)
  }

  /** Its bytes do not match the digest: removes it. It is uploaded again as soon as the right bytes are on the disk. */
  wrong(kind: EntryKind, digest: string, why: CorruptObject): void {
    const key = this.#keyOf(kind, digest)
    this.#options.observe.corrupt(kind, why)
    this.#index.wrong(key)
    this.#requests.remove(key).catch(() => undefined)
  }

  /** Removes it for an operator. An upload by another replica may bring it back. Never rejects. */
  async purge(kind: EntryKind, digest: string): Promise<'removed' | 'absent' | 'failed'> {
    const key = this.#keyOf(kind, digest)
    await this.#queue.cancel(key)
    try {
      const size = await this.#requests.sizeOf(key)
      this.#index.missed(key)
      if (size === undefined) return 'absent'
      await this.#requests.remove(key)
      return 'removed'
    } catch {
      return 'failed'
    }
  }

  /** The disk has it: uploads it in the background, unless S3 has it. */
  offer(kind: EntryKind, digest: string, requester: string): void {
    this.#uploads.offer(kind, digest, requester)
  }

  async #lookUp(key: string): Promise<number | undefined> {
    const size = await this.#requests.sizeOf(key)
    if (size === undefined) this.#index.missed(key)
    else this.#index.found(key, size)
    return size
  }

  #keyOf(kind: EntryKind, digest: string): string {
    return objectKey(this.#options.prefix, kind, digest)
  }
}
