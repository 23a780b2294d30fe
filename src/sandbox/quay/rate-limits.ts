/**
 * The rate limits of nginx in front of quay, as quay.io has them.
 * @see https://nginx.org/en/docs/http/ngx_http_limit_req_module.html
 * @see https://github.com/quay/quay/blob/master/conf/nginx/rate-limiting.conf.jnj and server-base.conf.jnj, for HTTP/1
 */
import { htmlAnswer } from './answers.ts'
import type { Answer } from './answers.ts'
import type { Exchange } from './origin.ts'
import { kindOf } from './request-kinds.ts'

/** `limit_req ... burst=N nodelay`: a leaky bucket for each key, which holds `burst` requests in addition to the one that runs out. */
export class LimitZone {
  readonly #perSecond: number
  readonly #burst: number
  /** By key: requests in the bucket, and the time of the last that was admitted. */
  readonly #buckets = new Map<string, { readonly excess: number; readonly at: number }>()

  constructor({ perSecond, burst }: { readonly perSecond: number; readonly burst: number }) {
    this.#perSecond = perSecond
    this.#burst = burst
  }

  /** @param now milliseconds */
  take(key: string, now: number): boolean {
    const bucket = this.#buckets.get(key)
    const leaked = (this.#perSecond * (now - (bucket?.at ?? now))) / 1000
    const excess = bucket === undefined ? 0 : Math.max(0, bucket.excess - leaked + 1)
    // A request that is refused fills nothing.
    if (excess > this.#burst) return false
    this.#buckets.set(key, { excess, at: now })
    return true
  }
}

/** One answer for all: no Retry-After, and HTML. */
const tooMany: Answer = htmlAnswer(429)

/** @param now milliseconds @returns the 429 of a request that comes too soon */
export const createRateLimits = (now: () => number): ((exchange: Exchange) => Answer | undefined) => {
  const manifests = new LimitZone({ perSecond: 50, burst: 10 })
  const blobs = new LimitZone({ perSecond: 50, burst: 50 })
  const tags = new LimitZone({ perSecond: 5, burst: 2 })
  const auth = new LimitZone({ perSecond: 120, burst: 2 })
  /** The ping and referrers together. */
  const others = new LimitZone({ perSecond: 60, burst: 1 })
  const zones = { manifests, blobs, tags, auth, ping: others, referrers: others, other: others }
  return ({ url, headers, address }) => {
    const kind = kindOf(url.pathname)
    const key = kind === 'auth' ? headers.authorization : address
    // nginx limits nothing for an empty key.
    return key === undefined || zones[kind].take(key, now()) ? undefined : tooMany
  }
}
