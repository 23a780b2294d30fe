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

export interface TouchedEntry {
  readonly digest: string
  /** Bytes. */
  readonly size: number
  readonly path: string
}

export class EntryTouches {
  readonly #disk: Pick<Disk, 'times' | 'touch'>
  readonly #index: Pick<EntryIndex, 'isVerified' | 'verified'>
  readonly #touched = createBoundedCache<string, true>(maxTouched, { ttlMs: touchEveryMs })

  constructor(disk: Pick<Disk, 'times' | 'touch'>, index: Pick<EntryIndex, 'isVerified' | 'verified'>) {
    this.#disk = disk
    this.#index = index
  }

  /** Once in ten minutes. @param later runs an operation for which nobody waits */
  touch(entry: TouchedEntry, later: (operation: () => Promise<void>) => void): void {
    if (this.#touched.has(entry.digest)) return
    this.#touched.set(entry.digest, true)
    later(async () => await this.#touchNow(entry))
  }

  async #touchNow({ digest, size, path }: TouchedEntry): Promise<void> {
    const before = await this.#disk.times(path)
    await this.#disk.touch(path)
    const after = await this.#disk.times(path)
    // If not, somebody else has changed the file, or the entry was dropped meanwhile.
    if (this.#index.isVerified(digest, before.mtimeMs)) this.#index.verified(digest, size, after.mtimeMs)
  }
}
