/**
 * How long upstream is left alone after its 429. As long as it says; quay does not say, and is asked less and less until it answers.
 */
export interface Pause {
  /** Milliseconds until it is over; 0 where there is none. */
  readonly remainingMs: () => number
  /** Upstream answered 429 to what was asked at `began`. @returns milliseconds by which that pauses it for longer; 0 for not */
  readonly limited: (began: number, retryAfterSeconds: number | undefined) => number
  /** Upstream answered what was asked at `began`. */
  readonly served: (began: number) => void
}

/**
 * The zones of quay that are met first refill within a second (manifests, burst 10 at 50 a second: 0.2 s). Longer than a client's whole
 * patience helps nobody: docker has 15 s for all.
 */
const defaultPause: PauseOptions = { firstMs: 1000, longestMs: 8000 }

/** Milliseconds of the first pause, which are doubled each time, up to the longest. */
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
  /** Pauses without an answer in between. */
  let inARow = 0

  const remainingMs = (): number => Math.max(0, until - now())
  return {
    remainingMs,
    limited: (began, retryAfterSeconds) => {
      // What was on its way when the last pause began tells nothing new.
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
