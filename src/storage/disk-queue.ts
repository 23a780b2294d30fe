/**
 * Which operation of the disk runs next. Node has four threads for all files and for the names of DNS: a disk that hangs would hold all
 * of them, and nothing of the proxy would go on. So a few operations run at a time, one requester after the other, each with a deadline.
 */
import { systemClock, type Clock } from '../concurrency/clock.ts'
import { createFairQueue, type FairQueue } from '../concurrency/fair-queue.ts'

/** The disk did not answer in time, or has too much to do. It is no reason to fail: the bytes are upstream as well. */
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

/** Of four threads one is left for a flush, and one for everything else. */
const defaultMaxRunning = 2
/** A disk at work answers within a tenth of it. */
const defaultDeadlineMs = 1000
/** Milliseconds in the queue of a disk that does answer: many readers are no reason to send all of them to upstream. */
const maxWaitMs = 20_000
/** Each has a client whose connection is open. */
const maxQueued = 8192

export class DiskQueue {
  readonly #queue: FairQueue
  readonly #maxRunning: number
  readonly #deadlineMs: number
  readonly #clock: Clock
  #running = 0
  /** Operations that are past their deadline and have not ended. */
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

  /** The circuit is open: an operation hangs, so that no other one is begun until it ends. */
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
      // Those who wait are refused as well.
      while (this.#queue.next(() => true));
    }
    // After a long turn of the event loop timers come first: what the disk has answered meanwhile is heard before.
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
