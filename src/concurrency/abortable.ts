/**
 * Waiting for what does not end when whoever waits leaves.
 */

/**
 * @param failureOf what the reason of the signal means to whoever waits; the reason itself unless told
 * @throws {Error} that, as soon as the signal is aborted; what the promise ends with is nobody's then
 */
export const unlessAborted = async <Value>(
  signal: AbortSignal | undefined,
  promise: Promise<Value>,
  failureOf: (reason: unknown) => unknown = (reason) => reason,
): Promise<Value> => {
  const over = Promise.withResolvers<never>()
  const stop = () => over.reject(failureOf(signal?.reason))
  signal?.addEventListener('abort', stop)
  if (signal?.aborted === true) stop()
  try {
    return await Promise.race([over.promise, promise])
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}
