/**
 * One deadline over everything that a request to upstream waits for: a free connection, each hop, each retry.
 */

export interface Deadline {
  /** Aborted by the caller's own signal, or with a `TimeoutError` when the time is over. */
  readonly signal: AbortSignal
  /** From now on only the caller's signal counts: what follows takes as long as it takes. */
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
