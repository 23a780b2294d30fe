/**
 * How many refusals a requester may cause: a token bucket that is charged after the fact. A request holds a place until its outcome is
 * known, so that a hundred requests at once cannot all pass on one free place.
 *
 * Not token-bucket.ts: that one takes before the fact, and has nothing to give back.
 * @see https://en.wikipedia.org/wiki/Token_bucket
 */
export interface AllowanceOptions {
  /** Refusals at once, after a time without any. */
  readonly burst: number
  /** Refusals that become free with each second. */
  readonly perSecond: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/** `free`: a place is free. `busy`: not before a held place is settled. `spent`: not before some time has passed. */
export type AllowanceState = 'free' | 'busy' | 'spent'

export interface Allowance {
  /** Holds a place if one is free. Each `held` is to be settled once. */
  readonly tryHold: () => 'held' | Exclude<AllowanceState, 'free'>
  /** Holds a place even where none is free. */
  readonly hold: () => void
  /** Ends a hold. @param refusals that came of it */
  readonly settle: (refusals: number) => void
  /** Charges refusals without a hold. It never owes: the bucket does not go below zero. */
  readonly charge: (refusals: number) => void
  readonly state: () => AllowanceState
  /** Whole seconds until a place becomes free. */
  readonly retryAfterSeconds: () => number
}

export const createAllowance = ({ burst, perSecond, now }: AllowanceOptions): Allowance => {
  let left = burst
  let held = 0
  let filledAt = now()
  const fill = (): number => {
    const time = now()
    left = Math.min(burst, left + ((time - filledAt) / 1000) * perSecond)
    filledAt = time
    return left
  }
  const charge = (refusals: number): void => {
    left = Math.max(0, fill() - refusals)
  }
  const state = (): AllowanceState => {
    if (fill() - held >= 1) return 'free'
    return left >= 1 ? 'busy' : 'spent'
  }
  const hold = (): void => {
    held += 1
  }
  return {
    tryHold: () => {
      const found = state()
      if (found !== 'free') return found
      hold()
      return 'held'
    },
    hold,
    settle: (refusals) => {
      held -= 1
      charge(refusals)
    },
    charge,
    state,
    retryAfterSeconds: () => Math.max(1, Math.ceil((1 - fill()) / perSecond)),
  }
}
