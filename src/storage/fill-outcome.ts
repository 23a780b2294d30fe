/**
 * The outcomes of a fill, and the errors that its readers get.
 */
import { isFull } from './disk.ts'

/** The bytes do not match the digest. A reader may already have some of them. */
export class WrongContent extends Error {
  override readonly name = 'WrongContent'
}

/** The store does not have the rest of the blob. Fetch it from upstream. */
export class FillEnded extends Error {
  override readonly name = 'FillEnded'
}

/** An operator has removed the digest meanwhile. */
export class Unwanted extends Error {
  override readonly name = 'Unwanted'
}

/**
 * `stored`: complete. `cancelled`: nobody reads it, or an operator has removed it. `failed`: upstream broke off. `wrong`: another digest or length. All others are
 * failures of the disk.
 */
export type FillOutcome = 'stored' | 'cancelled' | 'failed' | 'wrong' | 'full' | 'slow' | 'unwritable'

export const endedBy = (error: unknown): FillEnded => new FillEnded('the fill has ended', { cause: error })

/** The outcome of a fill after an error of the disk, or a removal. */
export const outcomeOf = (error: unknown): FillOutcome => {
  if (error instanceof Unwanted) return 'cancelled'
  if ((error as Error).name === 'DiskTooSlow') return 'slow'
  return isFull(error) ? 'full' : 'unwritable'
}
