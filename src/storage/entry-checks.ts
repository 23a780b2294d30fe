/**
 * Verifies entries of an earlier run of the program. A part of an entry cannot be verified by itself, so the whole entry is compared with
 * its digest before a client gets a part of it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { onAbort } from '../concurrency/abortable.ts'
import { Bulkhead } from '../concurrency/bulkhead.ts'
import type { ContentStore } from './content-store.ts'
import type { StoredFile } from './stored-file.ts'

export interface EntryChecksOptions {
  readonly store: Pick<ContentStore, 'find'>
  /** Milliseconds that a client waits before upstream sends the part. The check continues. */
  readonly maxWaitMs?: number
  /** Milliseconds that a client waits if upstream cannot send it. */
  readonly maxPatienceMs?: number
  /** Checks of all requesters at a time. */
  readonly maxChecks?: number
}

export interface EntryRequest {
  readonly digest: string
  readonly requester: string
  /** The signal of the waiting client. */
  readonly signal?: AbortSignal | undefined
}

/** A fast disk reads about a gigabyte in this time. */
const defaultMaxWaitMs = 2000
/** As for the rest of a blob: a client that waits longer for a byte is better served by another try. */
const defaultMaxPatienceMs = 30_000
/** Each holds a descriptor and a buffer. */
const defaultMaxChecks = 8
/** All checks together take the disk turns of this requester. */
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

  /**
   * The entry, open for reading, to be closed by the caller.
   * @param hasUpstream whether upstream can send the part; if not, the wait is longer
   * @returns 'unverified' if the check takes longer than the wait, or too many run; undefined for no entry, or a wrong one. Never rejects
   */
  async find(
    { digest, requester, signal }: EntryRequest,
    hasUpstream: boolean,
  ): Promise<StoredFile | 'unverified' | undefined> {
    const { maxWaitMs = defaultMaxWaitMs, maxPatienceMs = defaultMaxPatienceMs } = this.#options
    const late = hasUpstream ? maxWaitMs : maxPatienceMs
    const running = this.#running.get(digest) ?? this.#begin(digest, requester)
    if (running !== undefined) await endedWithin(running, late, signal)
    const file = await this.#options.store.find(digest, requester)
    if (file?.isVerified !== false) return file
    await file.close()
    return 'unverified'
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
    // The file itself reports a wrong entry to the store.
    await readThrough(file).catch(() => undefined)
    await file.close()
  }
}

const readThrough = async (file: StoredFile): Promise<void> => {
  const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, file.size))
  for (let at = 0; at < file.size;) at += await file.read(buffer, at)
}

/** Resolves when the check ends, the time is over, or the client has left. */
const endedWithin = async (
  check: Promise<void>,
  maxWaitMs: number,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const waiting = new AbortController()
  using _listener = onAbort(signal, () => waiting.abort())
  await Promise.race([check, sleep(maxWaitMs, undefined, { signal: waiting.signal }).catch(() => undefined)])
  waiting.abort()
}
