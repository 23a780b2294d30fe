/**
 * A content-addressed store on a disk: complete entries that match their digest, fills that become entries, and a bound on their bytes. If
 * an entry is wrong or the disk fails, a reader gets no error: the entry is dropped, or not found.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { entryPath, shardOf, shardsOf, type EntryKind, type EntryName } from './cache-directory.ts'
import { isAbsent, isOfFile, type Disk } from './disk.ts'
import type { DiskQueue } from './disk-queue.ts'
import { makeRoom } from './disk-room.ts'
import { EntryIndex, type FoundEntry } from './entry-index.ts'
import { entriesInFolder, sizeInFolder } from './entry-folder.ts'
import { EntryTouches } from './entry-touches.ts'
import { Fill } from './fill.ts'
import { outcomeOf, Unwanted } from './fill-outcome.ts'
import { Pending } from './pending.ts'
import type { ReadBuffers } from './read-buffers.ts'
import { RemovedDigests } from './removed-digests.ts'
import type { StoreObservers } from './store-observers.ts'
import { StoredFile, type CorruptEntry } from './stored-file.ts'

export interface ContentStoreOptions {
  readonly root: string
  readonly kind: EntryKind
  readonly maxBytes: number
  readonly disk: Disk
  readonly queue: DiskQueue
  readonly buffers: ReadBuffers
  /** One flush at a time: it may take seconds, and must not hold the threads that readers need. */
  readonly flushes: DiskQueue
  readonly observe: StoreObservers
}

/** The requester of the scan at the start, for turns at the disk. */
const loader = 'the index of the cache'

export class ContentStore {
  readonly #options: ContentStoreOptions
  readonly #index: EntryIndex
  readonly #touches: EntryTouches
  readonly #publishing = new Pending()
  readonly #removed = new RemovedDigests()
  #isLoaded = false

  constructor(options: ContentStoreOptions) {
    this.#options = options
    this.#index = new EntryIndex({
      maxBytes: options.maxBytes,
      onEvicted: (digest, size) => {
        options.observe.evicted(options.kind, size)
        this.#discard(this.#pathOf(digest, size))
      },
    })
    this.#touches = new EntryTouches({
      disk: options.disk,
      index: this.#index,
      pathOf: (digest, size) => this.#pathOf(digest, size),
      later: (operation) => this.#later(operation),
    })
  }

  /** `isLoaded`: the entries of an earlier run are counted, too. */
  stats(): { readonly entries: number; readonly bytes: number; readonly isLoaded: boolean } {
    return { entries: this.#index.entries, bytes: this.#index.bytes, isLoaded: this.#isLoaded }
  }

  /** Reads the names of the entries of an earlier run. Until that is done, each look-up reads one folder. Never rejects. */
  async load(signal: AbortSignal): Promise<void> {
    const { root, kind, disk, queue } = this.#options
    const found: FoundEntry[] = []
    for (const shard of shardsOf(root, kind)) {
      if (signal.aborted) return
      found.push(...(await entriesInFolder({ disk, queue, requester: loader, signal }, shard)))
    }
    await this.#index.absorb(found)
    this.#isLoaded = true
  }

  /** Whether the entry is stored, as far as the names were read. */
  has(digest: string): boolean {
    return this.#index.sizeOf(digest) !== undefined
  }

  /** The entry, open for reading: to be closed by the caller. */
  async find(digest: string, requester: string): Promise<StoredFile | undefined> {
    const size = this.#index.sizeOf(digest) ?? (await this.#sizeInFolder(digest, requester))
    if (size === undefined) return undefined
    const file = await this.#open(digest, size, requester)
    if (file === undefined) return undefined
    this.#index.use(digest, size)
    // Others are touched when they have been compared with their digest.
    if (file.isVerified) this.#touches.touch(digest, size)
    return file
  }

  /**
   * @param hashed digest of the file, if it holds more than the bytes of the digest; `size` is that of the file
   * @returns undefined if the disk is full, or hangs
   */
  async begin(digest: string, size: number, requester: string, hashed = digest): Promise<Fill | undefined> {
    const { root, kind, disk, queue, observe } = this.#options
    if (!this.#index.reserve(size)) return undefined
    const path = join(root, 'fills', randomUUID())
    const begun = this.#removed.moment
    try {
      await makeRoom(this.#options, this.#index, size, requester)
      const fd = await queue.run(
        requester,
        async () => await disk.create(path),
        async (late) => {
          await disk.close(late)
          this.#discard(path)
        },
      )
      return new Fill({
        ...this.#options,
        digest: hashed,
        size,
        requester,
        fd,
        publish: async () => await this.#publishing.add(this.#publish(path, fd, { digest, size }, begun)),
        onEnd: (outcome) => {
          if (outcome !== 'stored') {
            this.#index.unreserve(size)
            this.#discard(path)
          }
          observe.fillEnded(kind, outcome, outcome === 'stored' ? size : 0)
        },
      })
    } catch (error) {
      this.#index.unreserve(size)
      observe.fillEnded(kind, outcomeOf(error), 0)
      return undefined
    }
  }

  /** Resolves when all fills that are complete now have become entries, or have failed. Never rejects. */
  readonly published = async (): Promise<void> => await this.#publishing.settled()

  /** Removes an entry that is wrong or not wanted any more. */
  drop(digest: string, size: number, why?: CorruptEntry): void {
    if (why !== undefined) this.#options.observe.corrupt(this.#options.kind, why)
    this.#index.remove(digest)
    this.#discard(this.#pathOf(digest, size))
  }

  /** An operator has removed it: what is being filled does not bring it back. */
  forget(digest: string): void {
    this.#removed.add(digest)
    const size = this.#index.sizeOf(digest)
    if (size === undefined) this.#index.remove(digest)
    // Its file may be of a fill that ended after the operator looked.
    else this.drop(digest, size)
  }

  async #open(digest: string, size: number, requester: string): Promise<StoredFile | undefined> {
    const { kind, disk, queue } = this.#options
    const path = this.#pathOf(digest, size)
    const close = async ({ fd }: { readonly fd: number }) => await disk.close(fd)
    try {
      const opened = await queue.run(requester, async () => await disk.open(path), close)
      if (opened.size === size)
        return new StoredFile({
          ...this.#options,
          ...opened,
          digest,
          requester,
          // The file of a manifest holds its type as well, and is compared with its digest by its reader.
          isVerified: kind === 'manifests' || this.#touches.isVerified(digest, opened.mtimeMs),
          isUnchanged: (now) =>
            kind === 'manifests' || this.#touches.isUnchanged(digest, opened.mtimeMs, now),
          onVerified: () => this.#touches.verified(digest, size, opened.mtimeMs),
          onWrong: (why) => this.drop(digest, size, why),
        })
      await close(opened)
      this.drop(digest, size, 'size')
    } catch (error) {
      // Called for an entry that an operator has purged.
      if (isAbsent(error)) this.#index.remove(digest)
      else if (isOfFile(error)) this.drop(digest, size, 'unreadable')
    }
    return undefined
  }

  async #publish(path: string, fd: number, { digest, size }: EntryName, begun: number): Promise<void> {
    const { kind, disk, flushes } = this.#options
    const entry = this.#pathOf(digest, size)
    const { mtimeMs } = await flushes.run(kind, async () => {
      await disk.sync(fd)
      const times = await disk.times(path)
      await disk.publish(path, entry)
      return times
    })
    if (this.#removed.isRemovedSince(begun, digest)) {
      this.#discard(entry)
      throw new Unwanted()
    }
    this.#index.unreserve(size)
    this.#index.verified(digest, size, mtimeMs)
  }

  async #sizeInFolder(digest: string, requester: string): Promise<number | undefined> {
    if (this.#isLoaded || this.#index.isRemoved(digest)) return undefined
    const { root, kind, disk, queue } = this.#options
    return await sizeInFolder({ disk, queue, requester }, shardOf(root, kind, digest), digest)
  }

  #pathOf(digest: string, size: number): string {
    return entryPath(this.#options.root, this.#options.kind, { digest, size })
  }

  #discard(path: string): void {
    this.#later(async () => await this.#options.disk.remove(path))
  }

  /** Nobody waits for this removal, and other operations report a disk that fails. */
  #later(operation: () => Promise<void>): void {
    this.#options.queue.run(loader, operation).catch(() => undefined)
  }
}
