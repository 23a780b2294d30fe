/**
 * Whether S3 is too slow: then the rest of a blob comes from upstream. It counts only the time of waiting for S3, and is checked when a chunk arrives, so a slow
 * client is no reason.
 */

/** Milliseconds that S3 may make a reader wait for one body, whatever its pace. */
const maxWaitMs = 5000
/** Bytes for each millisecond of waiting: 256 KiB a second. */
const minPace = 256

export class S3Pace {
  readonly #now: () => number
  #waitedMs = 0
  #bytes = 0
  /** Chunks that the reader has. */
  #out = 0
  #idleSince: number

  /** @param now milliseconds, monotonic */
  constructor(now: () => number) {
    this.#now = now
    this.#idleSince = now()
  }

  /** A chunk came. @returns false if S3 is too slow */
  received(bytes: number): boolean {
    if (this.#out === 0) this.#waitedMs += this.#now() - this.#idleSince
    this.#out += 1
    this.#bytes += bytes
    return this.#waitedMs <= maxWaitMs || this.#bytes >= this.#waitedMs * minPace
  }

  /** The reader has used a chunk. */
  released(): void {
    this.#out -= 1
    if (this.#out === 0) this.#idleSince = this.#now()
  }
}
