/**
 * A rate limit by key that delays: it tells how long the next request of a key has to wait. GCRA, a token bucket that stores one time only.
 * @see https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
 */
import { createBoundedCache } from './bounded-cache.ts'

export interface PaceOptions {
  /** Requests at once without a wait; 1 or more. */
  readonly burst: number
  /** Milliseconds between requests beyond the burst. */
  readonly everyMs: number
  /** Milliseconds. A request that would wait for longer is refused. */
  readonly maxWaitMs: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

const maxKeys = 20_000

export class Pace {
  readonly #options: PaceOptions
  readonly #now: () => number
  /** When the next request of a key is due if the whole burst is spent. */
  readonly #due = createBoundedCache<string, number>(maxKeys)

  constructor(options: PaceOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** @returns milliseconds to wait, mostly 0; undefined if that is too long: such a request is not counted */
  next(key: string): number | undefined {
    const { burst, everyMs, maxWaitMs } = this.#options
    const now = this.#now()
    const due = Math.max(this.#due.get(key) ?? -Infinity, now - (burst - 1) * everyMs)
    const waitMs = Math.max(0, due - now)
    if (waitMs > maxWaitMs) return undefined
    this.#due.set(key, due + everyMs)
    return waitMs
  }
}
