/**
 * How a fill ends, and what its readers are told.
 */

/** The bytes are not those of the digest. The bytes that a reader has of them cannot be taken back. */
export class WrongContent extends Error {
  override readonly name = 'WrongContent'
}

/** The store has not got the rest: it is upstream. */
export class FillEnded extends Error {
  override readonly name = 'FillEnded'
}

/** An operator has removed the digest meanwhile. */
export class Unwanted extends Error {
  override readonly name = 'Unwanted'
}

/** `stored`: complete. `cancelled`: nobody reads it, or an operator has removed it. `failed`: upstream broke off. `wrong`: another digest or length. The rest: the disk. */
export type FillOutcome = 'stored' | 'cancelled' | 'failed' | 'wrong' | 'full' | 'slow' | 'unwritable'

export const endedBy = (error: unknown): FillEnded => new FillEnded('the fill has ended', { cause: error })

/** What an error of the disk, or a removal, means to a fill. */
export const outcomeOf = (error: unknown): FillOutcome => {
  const { name, code = '' } = error as NodeJS.ErrnoException
  if (error instanceof Unwanted) return 'cancelled'
  if (name === 'DiskTooSlow') return 'slow'
  return code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'unwritable'
}
