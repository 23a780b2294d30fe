/**
 * A token bucket: a burst of requests at once, and a rate per second after that.
 * @see https://nginx.org/en/docs/http/ngx_http_limit_req_module.html, whose leaky bucket is equivalent
 */
export interface Rate {
  readonly perSecond: number
  /** Requests at once, after a time without requests; 1 or more. */
  readonly burst: number
}

/** An equal part of a rate, for one of several processes that do not know each other. A burst is never less than one. */
export const partOf = ({ perSecond, burst }: Rate, parts: number): Rate => ({
  perSecond: perSecond / parts,
  burst: Math.max(1, Math.floor(burst / parts)),
})

export interface TokenBucket {
  /** False if there is no token now. */
  readonly take: () => boolean
  /** Milliseconds until there is a token. */
  readonly opensInMs: () => number
  /** Takes all tokens. There is one again after so many milliseconds, and the others follow at the rate. */
  readonly drain: (ms: number) => void
}

/** @param now milliseconds, monotonic */
export const createTokenBucket = ({ perSecond, burst }: Rate, now: () => number): TokenBucket => {
  const msEach = 1000 / perSecond
  /** When the bucket was, or will be, empty. It is full `burst` times `msEach` later. */
  let emptyAt = -Infinity

  // Rounded to microseconds: the rounding error of a division must not cause a wait.
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
