/**
 * Entries of an earlier life of the program of which a client wants a part: the whole entry is compared with its digest first. A part
 * alone does not tell whether its bytes are right.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Bulkhead } from '../concurrency/bulkhead.ts'
import type { ContentStore } from './content-store.ts'
import type { StoredFile } from './stored-file.ts'

export interface EntryChecksOptions {
  readonly store: Pick<ContentStore, 'find'>
  /** Milliseconds that a client waits. The check goes on. */
  readonly maxWaitMs?: number
  /** Checks of all requesters at a time. */
  readonly maxChecks?: number
}

/** About a gigabyte from a fast disk. */
const defaultMaxWaitMs = 2000
/** Each holds a descriptor and a buffer. */
const defaultMaxChecks = 8
/** Whose turns at the disk the checks take, all of them together. */
const reader = 'checks of entries'
const chunkBytes = 256 * 1024

export class EntryChecks {
  readonly #options: EntryChecksOptions
  readonly #running = new Map<string, Promise<void>>()
  readonly #slots: Bulkhead

  constructor(options: EntryChecksOptions) {
    this.#options = options
    this.#slots = new Bulkhead(options.maxChecks ?? defaultMaxChecks)
  }

  /** Resolves when the entry is compared (a wrong one is dropped then), or when it takes too long. Never rejects. */
  async check(digest: string, requester: string): Promise<void> {
    const running = this.#running.get(digest) ?? this.#begin(digest, requester)
    if (running === undefined) return
    const waiting = new AbortController()
    const late = sleep(this.#options.maxWaitMs ?? defaultMaxWaitMs, undefined, { signal: waiting.signal })
    await Promise.race([running, late.catch(() => undefined)])
    waiting.abort()
  }

  /** Undefined if too many run. */
  #begin(digest: string, requester: string): Promise<void> | undefined {
    if (!this.#slots.take(requester)) return undefined
    const running = this.#readAll(digest).finally(() => {
      this.#running.delete(digest)
      this.#slots.giveBack(requester)
    })
    this.#running.set(digest, running)
    return running
  }

  async #readAll(digest: string): Promise<void> {
    const file = await this.#options.store.find(digest, reader)
    if (file === undefined) return
    // What is wrong with it, the file tells its store.
    await readThrough(file).catch(() => undefined)
    await file.close()
  }
}

const readThrough = async (file: StoredFile): Promise<void> => {
  const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, file.size))
  for (let at = 0; at < file.size;) at += await file.read(buffer, at)
}
