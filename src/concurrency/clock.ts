/**
 * The time, and what is to happen in it: handed in, so that a test need not wait.
 */
export interface Clock {
  /** Milliseconds, monotonic. */
  readonly now: () => number
  /** Runs something once, so many milliseconds from now; what it gives calls that off. */
  readonly after: (ms: number, run: () => void) => () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    // Whoever waits has a connection open: a timer alone is no reason to stay.
    const timer = setTimeout(run, ms).unref()
    return () => clearTimeout(timer)
  },
}
