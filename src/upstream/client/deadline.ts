/**
 * One deadline for all that a request to upstream waits for: a free connection, each round trip, the robot's login.
 */

export interface Deadline {
  /** Aborted by the caller's own signal, or with a `TimeoutError` after the deadline. */
  readonly signal: AbortSignal
  /** From now on only the caller's signal counts: a body may take as long as its client needs. */
  readonly lift: () => void
}

export const createDeadline = (timeoutMs: number, signal?: AbortSignal): Deadline => {
  const timeout = new AbortController()
  const timer = setTimeout(
    () => timeout.abort(new DOMException(`not through after ${timeoutMs} ms`, 'TimeoutError')),
    timeoutMs,
  ).unref()
  return {
    signal: signal === undefined ? timeout.signal : AbortSignal.any([signal, timeout.signal]),
    lift: () => clearTimeout(timer),
  }
}
