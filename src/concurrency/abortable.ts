/**
 * Waiting with a signal, for work that goes on when its caller leaves.
 */
import { addAbortListener } from 'node:events'

/** Removes the listener when it is disposed: with `using`, at the end of the block. Nothing where there is no signal. */
export const onAbort = (signal: AbortSignal | undefined, listener: () => void): Disposable | undefined =>
  signal && addAbortListener(signal, listener)

/**
 * @param failureOf makes the error from the reason of the signal; the reason itself unless given
 * @throws {Error} that error, as soon as the signal is aborted; the result of the promise is dropped then
 */
export const unlessAborted = async <Value>(
  signal: AbortSignal | undefined,
  promise: Promise<Value>,
  failureOf: (reason: unknown) => unknown = (reason) => reason,
): Promise<Value> => {
  const over = Promise.withResolvers<never>()
  const stop = () => over.reject(failureOf(signal?.reason))
  using _listener = onAbort(signal, stop)
  // The listener of a signal that is aborted already runs later: a promise that is settled already would win.
  if (signal?.aborted === true) stop()
  return await Promise.race([over.promise, promise])
}
