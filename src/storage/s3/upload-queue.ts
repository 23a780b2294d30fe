/**
 * Uploads in the background: a few at a time, requesters take turns, and one object is never uploaded twice at once. No pull waits for
 * them.
 */
import { Bulkhead } from '../../concurrency/bulkhead.ts'
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import { createFairQueue, type FairQueue } from '../../concurrency/fair-queue.ts'

export interface UploadQueueOptions {
  readonly maxRunning?: number
  readonly maxQueued?: number
  readonly clock?: Clock
}

/** Each upload holds two parts of 5 MiB, a descriptor and a connection. */
const defaultMaxRunning = 4
/** Enough for a few images of all users of a replica. An object beyond this is uploaded after a later pull. */
const defaultMaxQueued = 2000
/** Milliseconds that an upload may wait for its turn. */
const maxWaitMs = 10 * 60_000

interface Pending {
  readonly work: Promise<void>
  readonly cancelled: AbortController
}

class NotWaiting extends Error {}

export class UploadQueue {
  readonly #clock: Clock
  readonly #slots: Bulkhead
  readonly #queue: FairQueue
  readonly #pending = new Map<string, Pending>()
  readonly #closed = new AbortController()

  constructor(options: UploadQueueOptions = {}) {
    const { maxRunning = defaultMaxRunning, maxQueued = defaultMaxQueued, clock = systemClock } = options
    this.#clock = clock
    this.#slots = new Bulkhead(maxRunning)
    const refuse = (why: string) => new NotWaiting(why)
    this.#queue = createFairQueue({ maxPerRequester: maxQueued / 2, maxQueued, clock, refuse })
  }

  /** Running and waiting uploads. */
  get size(): number {
    return this.#pending.size
  }

  has(key: string): boolean {
    return this.#pending.has(key)
  }

  /**
   * Runs the upload when its turn comes.
   * @param upload must not reject
   * @param onDropped called instead if too many uploads wait
   */
  add(
    key: string,
    requester: string,
    upload: (signal: AbortSignal) => Promise<void>,
    onDropped: () => void,
  ): void {
    if (this.#closed.signal.aborted || this.#pending.has(key)) return
    const cancelled = new AbortController()
    const signal = AbortSignal.any([this.#closed.signal, cancelled.signal])
    const work = this.#inTurn(requester, upload, signal).catch(onDropped)
    this.#pending.set(key, { work, cancelled })
    void work.finally(() => this.#pending.delete(key))
  }

  /** Aborts one upload. Resolves when it has ended. */
  async cancel(key: string): Promise<void> {
    const pending = this.#pending.get(key)
    pending?.cancelled.abort(new NotWaiting('it is not wanted any more'))
    await pending?.work
  }

  /** Aborts all uploads. Resolves when they have ended; each has deadlines. */
  async close(): Promise<void> {
    this.#closed.abort(new NotWaiting('the process ends'))
    await Promise.all([...this.#pending.values()].map(async ({ work }) => await work))
  }

  async #inTurn(
    requester: string,
    upload: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const until = this.#clock.now() + maxWaitMs
    const turn = this.#queue.wait({ requester, until, signal })
    this.#pump()
    await turn
    try {
      await upload(signal)
    } finally {
      this.#slots.giveBack(requester)
      this.#pump()
    }
  }

  #pump(): void {
    while (this.#queue.next(this.#slots.take));
  }
}
