/**
 * The clock and timers, passed in so that tests need not wait.
 */
export interface Clock {
  /** Milliseconds, monotonic. */
  readonly now: () => number
  /** Runs something once, after so many milliseconds. @returns cancels it */
  readonly after: (ms: number, run: () => void) => () => void
}

/**
 * Milliseconds since 1970, as the machine took it at the start of the process. It does not jump if the clock of the machine is set, so
 * ages are right for as long as the process runs.
 */
export const steadyWallClock = (): number => Math.round(performance.timeOrigin + performance.now())

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    // `unref`: a timer alone must not keep the process alive; a waiting client has an open connection, which does.
    // Node warns of negative delays.
    const timer = setTimeout(run, Math.max(0, ms)).unref()
    return () => clearTimeout(timer)
  },
}
