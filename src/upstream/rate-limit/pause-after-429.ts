/**
 * How long requests pause after a 429 of upstream: for as long as its Retry-After says. Quay sends none, so each pause is twice as long as
 * the one before, until a request succeeds.
 */
export interface Pause {
  /** Milliseconds until the pause is over; 0 for no pause. */
  readonly remainingMs: () => number
  /** Upstream answered 429 to a request that was sent at `began`. @returns milliseconds by which that extends the pause */
  readonly limited: (began: number, retryAfterSeconds: number | undefined) => number
  /** A request that was sent at `began` succeeded. */
  readonly served: (began: number) => void
}

/**
 * The zones of quay that are exceeded first refill within a second (manifests, burst 10 at 50 a second: 0.2 s). A pause longer than a
 * client waits helps nobody: docker has 15 s in all.
 */
const defaultPause: PauseOptions = { firstMs: 1000, longestMs: 8000 }

/** Milliseconds of the first pause, which doubles each time, up to the longest. */
export interface PauseOptions {
  readonly firstMs: number
  readonly longestMs: number
}

/** @param now milliseconds, monotonic */
export const createPause = (
  now: () => number,
  { firstMs, longestMs }: PauseOptions = defaultPause,
): Pause => {
  let until = -Infinity
  /** Pauses without a success in between. */
  let inARow = 0

  const remainingMs = (): number => Math.max(0, until - now())
  return {
    remainingMs,
    limited: (began, retryAfterSeconds) => {
      // Requests that were in flight when the last pause began tell nothing new.
      const isNew = began >= until
      if (retryAfterSeconds === undefined && !isNew) return 0
      const ms =
        retryAfterSeconds === undefined
          ? Math.min(firstMs * 2 ** inARow, longestMs)
          : Math.max(1, retryAfterSeconds) * 1000
      if (isNew) inARow += 1
      const longerMs = Math.max(0, ms - remainingMs())
      until = Math.max(until, now() + ms)
      return longerMs
    },
    served: (began) => {
      if (began >= until) inARow = 0
    },
  }
}
