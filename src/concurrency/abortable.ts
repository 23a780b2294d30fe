/**
 * Listens to an AbortSignal, and waits with one for work that goes on when its caller leaves.
 */
import { addAbortListener } from 'node:events'

/** Disposing the result removes the listener: with `using`, at the end of the block. @returns undefined for no signal */
export const onAbort = (signal: AbortSignal | undefined, listener: () => void): Disposable | undefined =>
  signal && addAbortListener(signal, listener)

/**
 * Waits for the promise, until the signal is aborted.
 * @param failureOf makes the error from the reason of the signal; the reason itself unless given
 * @throws what `failureOf` makes, as soon as the signal is aborted; the result of the promise is dropped then
 */
export const unlessAborted = async <Value>(
  signal: AbortSignal | undefined,
  promise: Promise<Value>,
  failureOf: (reason: unknown) => unknown = (reason) => reason,
): Promise<Value> => {
  const over = Promise.withResolvers<never>()
  const stop = () => over.reject(failureOf(signal?.reason))
  using _listener = onAbort(signal, stop)
  // If the signal is aborted already, its listener runs later, and a settled promise would win.
  if (signal?.aborted === true) stop()
  return await Promise.race([over.promise, promise])
}
