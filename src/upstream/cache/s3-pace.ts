/**
 * Detects that S3 is too slow. Then the rest of a blob comes from upstream. Only the time of waiting for S3 counts, so a slow client does
 * not matter.
 */

/** A reader may wait for S3 for this many milliseconds for one body, before the rate is checked. */
const maxWaitMs = 5000
/** The lowest accepted rate, in bytes per millisecond of waiting: 256 KiB a second. */
const minPace = 256

export class S3Pace {
  readonly #now: () => number
  #waitedMs = 0
  #bytes = 0
  /** Chunks that the reader has not released yet. */
  #out = 0
  #idleSince: number

  /** @param now milliseconds, monotonic */
  constructor(now: () => number) {
    this.#now = now
    this.#idleSince = now()
  }

  /** Call this when a chunk arrives. @returns false if S3 is too slow */
  received(bytes: number): boolean {
    if (this.#out === 0) this.#waitedMs += this.#now() - this.#idleSince
    this.#out += 1
    this.#bytes += bytes
    return this.#waitedMs <= maxWaitMs || this.#bytes >= this.#waitedMs * minPace
  }

  /** Call this when the reader has released a chunk. */
  released(): void {
    this.#out -= 1
    if (this.#out === 0) this.#idleSince = this.#now()
  }
}
