/**
 * How many refusals a requester may cause: a token bucket that is charged afterwards. A request holds a token until its outcome is known,
 * so that a hundred requests at once cannot all pass with one free token.
 *
 * Not token-bucket.ts: that one takes a token before a request, and never gives it back.
 * @see https://en.wikipedia.org/wiki/Token_bucket
 */
export interface AllowanceOptions {
  /** Refusals at once, after a time without refusals. */
  readonly burst: number
  /** Tokens that are added each second. */
  readonly perSecond: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/** `free`: a token is free. `busy`: one is free once a held one is settled. `spent`: one is free after some time. */
export type AllowanceState = 'free' | 'busy' | 'spent'

export interface Allowance {
  /** Holds a token if one is free. Each `held` must be settled once. */
  readonly tryHold: () => 'held' | Exclude<AllowanceState, 'free'>
  /** Holds a token even if none is free. */
  readonly hold: () => void
  /** Ends a hold. @param refusals that the request caused */
  readonly settle: (refusals: number) => void
  /** Charges refusals without a hold. The bucket does not go below zero. */
  readonly charge: (refusals: number) => void
  readonly state: () => AllowanceState
  /** Whole seconds until a token is free. */
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
