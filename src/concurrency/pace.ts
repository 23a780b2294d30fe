/**
 * A steady pace for each key, with a burst before it: how long the next one has to wait (GCRA, the token bucket without a bucket).
 * @see https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
 */
import { createBoundedCache } from './bounded-cache.ts'

export interface PaceOptions {
  /** So many at once without a wait; 1 or more. */
  readonly burst: number
  /** Milliseconds between those beyond. */
  readonly everyMs: number
  /** Milliseconds; a wait for longer is refused. */
  readonly maxWaitMs: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

const maxKeys = 20_000

export class Pace {
  readonly #options: PaceOptions
  readonly #now: () => number
  /** When the next one of a key is due, with the whole burst spent. */
  readonly #due = createBoundedCache<string, number>(maxKeys)

  constructor(options: PaceOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** @returns milliseconds to wait, mostly 0; undefined where that would be too long, which counts for nothing */
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
