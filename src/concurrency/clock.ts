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
    // What is due already is due at once: Node warns of a time that lies before now.
    const timer = setTimeout(run, Math.max(0, ms)).unref()
    return () => clearTimeout(timer)
  },
}
