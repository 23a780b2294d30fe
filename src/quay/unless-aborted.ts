/**
 * Waiting for what does not end when whoever waits leaves.
 */
import { failureOf } from './failures.ts'

/** @throws {RegistryError} UNAVAILABLE as soon as the signal is aborted; what the promise ends with is nobody's then */
export const unlessAborted = async <Value>(signal: AbortSignal, promise: Promise<Value>): Promise<Value> => {
  const over = Promise.withResolvers<never>()
  const stop = () => over.reject(failureOf(signal.reason))
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  try {
    return await Promise.race([over.promise, promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
