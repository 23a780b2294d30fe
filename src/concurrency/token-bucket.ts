/**
 * So many at once, and so many a second after that.
 * @see https://nginx.org/en/docs/http/ngx_http_limit_req_module.html, whose leaky bucket is the same one seen from the other side
 */
export interface Rate {
  readonly perSecond: number
  /** At once, after a while without any; 1 or more. */
  readonly burst: number
}

/** An equal part of a rate, for one of several that know nothing of each other. A burst is never less than one. */
export const partOf = ({ perSecond, burst }: Rate, parts: number): Rate => ({
  perSecond: perSecond / parts,
  burst: Math.max(1, Math.floor(burst / parts)),
})

export interface TokenBucket {
  /** False where there is none left now. */
  readonly take: () => boolean
  /** Milliseconds until there is one. */
  readonly opensInMs: () => number
  /** Takes all there are: there is one again in so many milliseconds, and the others follow at the rate. */
  readonly drain: (ms: number) => void
}

/** @param now milliseconds, monotonic */
export const createTokenBucket = ({ perSecond, burst }: Rate, now: () => number): TokenBucket => {
  const msEach = 1000 / perSecond
  /** When it was, or will be, empty. Full is `burst` times `msEach` later. */
  let emptyAt = -Infinity

  // To the microsecond: what a division leaves behind is no reason to wait.
  const opensInMs = (): number => Math.max(0, Math.round((emptyAt + msEach - now()) * 1000) / 1000)
  return {
    opensInMs,
    take: () => {
      if (opensInMs() > 0) return false
      emptyAt = Math.max(emptyAt, now() - burst * msEach) + msEach
      return true
    },
    drain: (ms) => {
      emptyAt = now() + ms - msEach
    },
  }
}
