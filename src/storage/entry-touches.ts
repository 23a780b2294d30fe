/**
 * Marks entries as used, by the time of their files: it carries the order of use over a restart. The index takes any other change of that
 * time as a change of the bytes.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import type { Disk } from './disk.ts'
import type { EntryIndex } from './entry-index.ts'

/** A mark costs three calls to the file system. */
const touchEveryMs = 10 * 60_000
const maxTouched = 20_000

export interface EntryTouchesOptions {
  readonly disk: Pick<Disk, 'times' | 'touch'>
  readonly index: Pick<EntryIndex, 'isVerified' | 'verified'>
  readonly pathOf: (digest: string, size: number) => string
  /** Runs an operation for which nobody waits. */
  readonly later: (operation: () => Promise<void>) => void
}

export class EntryTouches {
  readonly #options: EntryTouchesOptions
  /** Digest -> the time that the file got here; NaN if it has none yet, or if its bytes were not compared. */
  readonly #touched = createBoundedCache<string, number>(maxTouched, { ttlMs: touchEveryMs })
  /** Entries whose time is being changed here, and whether they were verified before: for that moment the time tells nothing. */
  readonly #touching = new Map<string, boolean>()

  constructor(options: EntryTouchesOptions) {
    this.#options = options
  }

  /** Whether the bytes of the entry were compared, and nobody else has changed the file since. @param mtimeMs of the file now */
  isVerified(digest: string, mtimeMs: number): boolean {
    return this.#touching.get(digest) === true || this.#options.index.isVerified(digest, mtimeMs)
  }

  /** Whether the file has the time of `before`, or one that it got here. The entry may have been evicted meanwhile. */
  isUnchanged(digest: string, before: number, mtimeMs: number): boolean {
    const isOwn = this.#touching.has(digest) || mtimeMs === this.#touched.peek(digest)
    return mtimeMs === before || isOwn || this.isVerified(digest, mtimeMs)
  }

  /** @param mtimeMs of the file, from before its bytes were read */
  verified(digest: string, size: number, mtimeMs: number): void {
    this.#options.index.verified(digest, size, mtimeMs)
    this.touch(digest, size)
  }

  /** Touches the entry once in ten minutes. @param size bytes */
  touch(digest: string, size: number): void {
    if (this.#touched.has(digest)) return
    this.#touched.set(digest, NaN)
    this.#options.later(async () => await this.#touchNow(digest, size))
  }

  async #touchNow(digest: string, size: number): Promise<void> {
    const { disk, index, pathOf } = this.#options
    const path = pathOf(digest, size)
    const before = await disk.times(path)
    // False: somebody else has changed the file, or the entry was dropped, or is being stored.
    const wasVerified = index.isVerified(digest, before.mtimeMs)
    this.#touching.set(digest, wasVerified)
    try {
      await disk.touch(path)
      const after = await disk.times(path)
      // An entry may have been stored, and verified, while it was touched.
      const isVerified = index.isVerified(digest, before.mtimeMs)
      if (wasVerified || isVerified) this.#touched.set(digest, after.mtimeMs)
      if (isVerified) index.verified(digest, size, after.mtimeMs)
    } finally {
      this.#touching.delete(digest)
    }
  }
}
