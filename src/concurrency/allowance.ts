/**
 * How many refusals somebody may cause: a token bucket that is charged for what has happened, and holds a place for what may
 * happen meanwhile, so that a hundred questions at once cannot all be asked on one allowance.
 *
 * Not token-bucket.ts: that one takes before the fact, and has nothing to give back.
 * @see https://en.wikipedia.org/wiki/Token_bucket
 */
export interface AllowanceOptions {
  /** How many at once, after a while of none. */
  readonly burst: number
  /** How many more with each second. */
  readonly perSecond: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

export interface Allowance {
  /** `free`: one more may be held; `held`: not before one that is held is settled; `spent`: not before some time has passed. */
  readonly state: () => 'free' | 'held' | 'spent'
  readonly hold: () => void
  /** Ends a hold. @param refusals that came of it */
  readonly settle: (refusals: number) => void
  /** Charges what nobody held a place for. It never owes: what is spent is spent. */
  readonly charge: (refusals: number) => void
  /** Whole seconds until one more may be had. */
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
  return {
    state: () => {
      if (fill() - held >= 1) return 'free'
      return left >= 1 ? 'held' : 'spent'
    },
    hold: () => {
      held += 1
    },
    settle: (refusals) => {
      held -= 1
      charge(refusals)
    },
    charge,
    retryAfterSeconds: () => Math.max(1, Math.ceil((1 - fill()) / perSecond)),
  }
}
