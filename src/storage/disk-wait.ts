/**
 * Detects that the disk is slower than upstream. Then the fill is given up, because its readers are faster without it.
 */
import { performance } from 'node:perf_hooks'

export interface DiskWaitOptions {
  /** Milliseconds, monotonic. */
  readonly now: () => number
  /** Share of the time since the fill began in which the event loop was busy, from 0 to 1. */
  readonly busyness?: (() => number) | undefined
}

/** The disk is too slow if readers have waited for it longer than this, and for more than this share of the time. */
const maxDiskWaitMs = 1000
const maxDiskShare = 2 / 3
/** If the event loop is this busy, the process notices late that the disk has finished. Then the disk is not to blame. */
const maxBusyness = 0.7

export class DiskWait {
  readonly #now: () => number
  readonly #busyness: () => number
  readonly #startedAt: number
  #waitedMs = 0

  constructor({ now, busyness }: DiskWaitOptions) {
    const begun = performance.eventLoopUtilization()
    this.#now = now
    this.#busyness = busyness ?? (() => performance.eventLoopUtilization(begun).utilization)
    this.#startedAt = now()
  }

  /** Readers had nothing to read since a write began. A slow reader does not wait for the disk. */
  add(begunAt: number): void {
    this.#waitedMs += this.#now() - begunAt
  }

  isTooLong(): boolean {
    const elapsedMs = this.#now() - this.#startedAt
    return (
      this.#waitedMs > maxDiskWaitMs &&
      this.#waitedMs > elapsedMs * maxDiskShare &&
      this.#busyness() < maxBusyness
    )
  }
}
