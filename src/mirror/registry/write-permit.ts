/**
 * Whether this process may write now. Two writing replicas would undo each other's work.
 */
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
