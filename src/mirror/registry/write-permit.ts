/**
 * Whether this process may write now. Two writing replicas would undo each other's work.
 */
import type { Clock } from '../../concurrency/clock.ts'
import { PermitLost } from './failure.ts'

export interface WritePermit {
  readonly isHeld: () => boolean
}

/** For code that only reads: every write is refused. */
export const noPermit: WritePermit = { isHeld: () => false }

/** Checked immediately before each writing request. @throws {PermitLost} */
export const checkPermit = (permit: WritePermit): void => {
  if (!permit.isHeld()) throw new PermitLost()
}

/** Milliseconds: far below those between the end of a permit and the moment at which another replica may take the lease. */
const checkEveryMs = 1000

/**
 * A signal that is aborted soon after the permit is lost, so that a write that is still under way ends before another replica may write.
 * Dispose of it after the answer.
 */
export const whileHeld = (
  permit: WritePermit,
  clock: Clock,
): Disposable & { readonly signal: AbortSignal } => {
  const ending = new AbortController()
  const check = (): void => {
    if (!permit.isHeld()) ending.abort(new PermitLost())
    else cancel = clock.after(checkEveryMs, check)
  }
  let cancel = clock.after(checkEveryMs, check)
  return { signal: ending.signal, [Symbol.dispose]: () => cancel() }
}
