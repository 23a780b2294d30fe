/**
 * The rate limits of quay.io for one address, and the share of them that this proxy uses.
 * @see https://github.com/quay/quay/blob/master/conf/nginx/rate-limiting.conf.jnj and server-base.conf.jnj, for HTTP/1
 */
import { partOf, type Rate } from '../../concurrency/token-bucket.ts'
import type { UpstreamKind } from '../request.ts'

export interface UpstreamRate extends Rate {
  /** It applies only for a while after a 429. */
  readonly onlyAfter429?: boolean
}

export type Rates = Readonly<Record<UpstreamKind, UpstreamRate>>

/**
 * Requests a second and the burst of each nginx zone. The burst of the zone for everything else is unknown: none. The realm has a zone per
 * robot (120 a second, burst 2), which one login at a time never reaches.
 */
const granted: Rates = {
  manifest: { perSecond: 50, burst: 10 },
  // It is unknown whether quay.io limits blobs. This limit would allow two images a second only; manifests and tags are cached.
  blob: { perSecond: 50, burst: 50, onlyAfter429: true },
  tags: { perSecond: 5, burst: 2 },
  referrers: { perSecond: 60, burst: 1 },
}

/** The network bunches requests up, and a rejected robot token costs a request that is not counted here. */
const used = 0.9

/** @param replicas proxies behind the same address */
export const ratesFor = (replicas: number): Rates => {
  const share = (kind: UpstreamKind): UpstreamRate => {
    const { perSecond, burst, ...rest } = granted[kind]
    // More replicas than the burst can exceed it together. The 429 for that causes a pause.
    return { ...rest, ...partOf({ perSecond: perSecond * used, burst: burst * used }, replicas) }
  }
  return {
    manifest: share('manifest'),
    blob: share('blob'),
    tags: share('tags'),
    referrers: share('referrers'),
  }
}
