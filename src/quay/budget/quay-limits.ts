/**
 * What quay.io grants to one address, and the share of it that this proxy asks for.
 * @see https://github.com/quay/quay/blob/master/conf/nginx/rate-limiting.conf.jnj and server-base.conf.jnj, for HTTP/1
 */
import { partOf, type Rate } from '../../concurrency/token-bucket.ts'
import type { UpstreamKind } from '../dispatcher.ts'

export interface UpstreamRate extends Rate {
  /** It is kept to only for a while after upstream has shown that it limits. */
  readonly onceSeen?: boolean
}

export type Rates = Readonly<Record<UpstreamKind, UpstreamRate>>

/**
 * Requests a second and the burst of each nginx zone. The zone of everything else names no burst that is known to us: none.
 * The realm has a zone per robot (120 a second, burst 2), which one login at a time never meets.
 */
const granted: Rates = {
  manifest: { perSecond: 50, burst: 10 },
  // Whether quay.io limits blobs is not known; two images a second would be all there is. Manifests and tags are spared by memory.
  blob: { perSecond: 50, burst: 50, onceSeen: true },
  tags: { perSecond: 5, burst: 2 },
  referrers: { perSecond: 60, burst: 1 },
}

/** Requests bunch up on their way, and a refused robot token costs one that is not counted here. */
const used = 0.9

/** @param replicas proxies behind the same address */
export const ratesFor = (replicas: number): Rates => {
  const share = (kind: UpstreamKind): UpstreamRate => {
    const { perSecond, burst, ...rest } = granted[kind]
    // More replicas than the burst may meet it together; the 429 for that is waited out.
    return { ...rest, ...partOf({ perSecond: perSecond * used, burst: burst * used }, replicas) }
  }
  return {
    manifest: share('manifest'),
    blob: share('blob'),
    tags: share('tags'),
    referrers: share('referrers'),
  }
}
