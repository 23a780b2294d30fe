/**
 * Whether the disk is slower than upstream: then a fill is no use, since its readers would be faster without it.
 */
import { performance } from 'node:perf_hooks'

export interface DiskWaitOptions {
  /** Milliseconds, monotonic. */
  readonly now: () => number
  /** Share of the time since the fill began in which the event loop was busy, from 0 to 1. */
  readonly busyness?: (() => number) | undefined
}

/** The disk may make readers wait for so long in all, or else for a share of the time: a slower one than the network is no use. */
const maxDiskWaitMs = 1000
const maxDiskShare = 2 / 3
/** If the event loop is this busy, what the disk has done is noticed late: it is not the disk that is slow. */
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
