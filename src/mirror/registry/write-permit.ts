/**
 * Whether this process may write now. Two replicas that both write would undo each other's work.
 */
import { PermitLost } from './failure.ts'

export interface WritePermit {
  readonly isHeld: () => boolean
}

/** For what only reads. */
export const noPermit: WritePermit = { isHeld: () => false }

/** Checked immediately before each request that changes something. @throws {PermitLost} */
export const checkPermit = (permit: WritePermit): void => {
  if (!permit.isHeld()) throw new PermitLost()
}
