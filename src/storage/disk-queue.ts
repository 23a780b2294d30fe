/**
 * The queue of disk operations. Node has four threads for all files and for DNS: a disk that hangs would hold all of them, and the whole
 * proxy would hang. So only a few operations run at a time. Requesters take turns, and each operation has a deadline.
 */
import { systemClock, type Clock } from '../concurrency/clock.ts'
import { createFairQueue, type FairQueue } from '../concurrency/fair-queue.ts'

/** The disk did not answer in time, or has too many operations. The pull must not fail, because upstream has the bytes as well. */
export class DiskTooSlow extends Error {
  override readonly name = 'DiskTooSlow'
}

export interface DiskQueueOptions {
  /** Operations that run at a time. */
  readonly maxRunning?: number
  /** Milliseconds that an operation may take. */
  readonly deadlineMs?: number
  readonly clock?: Clock
}

/** Two of the four threads remain: one for a flush, and one for everything else. */
const defaultMaxRunning = 2
/** A disk under normal load answers within a tenth of this. */
const defaultDeadlineMs = 1000
/**
 * The longest wait in the queue while the disk answers, in milliseconds. Long, so that many readers at once are not all sent to upstream.
 */
const maxWaitMs = 20_000
/** Each waiting operation belongs to a client with an open connection. */
const maxQueued = 8192

export class DiskQueue {
  readonly #queue: FairQueue
  readonly #maxRunning: number
  readonly #deadlineMs: number
  readonly #clock: Clock
  #running = 0
  /** Operations that have passed their deadline and still run. */
  #overdue = 0

  constructor(options: DiskQueueOptions = {}) {
    const { maxRunning = defaultMaxRunning, deadlineMs = defaultDeadlineMs, clock = systemClock } = options
    this.#maxRunning = maxRunning
    this.#deadlineMs = deadlineMs
    this.#clock = clock
    this.#queue = createFairQueue({
      maxPerRequester: maxQueued / 2,
      maxQueued,
      clock,
      refuse: (why) => new DiskTooSlow(`the disk has too much to do (${why})`),
    })
  }

  /** The circuit is open: an operation hangs, and no other one starts until it ends. */
  get isStuck(): boolean {
    return this.#overdue > 0
  }

  /**
   * @param drop takes the value of an operation that ended too late
   * @throws {DiskTooSlow}; what the operation throws
   */
  async run<Value>(
    requester: string,
    operation: () => Promise<Value>,
    drop?: (value: Value) => unknown,
  ): Promise<Value> {
    if (this.isStuck) throw new DiskTooSlow('the disk hangs')
    if (this.#queue.size() > 0 || !this.#take()) {
      await this.#queue.wait({ requester, until: this.#clock.now() + maxWaitMs })
      if (this.isStuck) throw new DiskTooSlow('the disk hangs')
    }
    return await this.#watched(operation, drop)
  }

  readonly #take = (): boolean => {
    if (this.#running >= this.#maxRunning) return false
    this.#running += 1
    return true
  }

  async #watched<Value>(operation: () => Promise<Value>, drop?: (value: Value) => unknown): Promise<Value> {
    const outcome = Promise.withResolvers<Value>()
    let hasEnded = false
    let isOverdue = false
    const overdue = (): void => {
      if (hasEnded) return
      isOverdue = true
      this.#overdue += 1
      outcome.reject(new DiskTooSlow('the disk does not answer'))
      // Waiting operations are refused as well.
      while (this.#queue.next(() => true));
    }
    // After a long turn of the event loop, timers run before the answers of the disk. So this waits one more turn for an answer that has
    // already arrived.
    const stop = this.#clock.after(this.#deadlineMs, () => void setImmediate(overdue))
    const ended = (): void => {
      stop()
      hasEnded = true
      if (isOverdue) this.#overdue -= 1
      this.#running -= 1
      while (this.#queue.next(this.#take));
    }
    void operation()
      .finally(ended)
      .then((value) => (isOverdue ? drop?.(value) : outcome.resolve(value)), outcome.reject)
    return await outcome.promise
  }
}
