/**
 * The cache of referrers lists. Each is cached for a short time and fetched once for all requesters. What a requester may see of a list is
 * decided later. Attack: a list of megabytes, fetched and held once for each of hundreds of connections that read nothing.
 */
import { LRUCache } from 'lru-cache'
import { createSingleFlight } from '../../concurrency/single-flight.ts'
import { sharedErrors } from '../errors.ts'
import type { FetchReferrers } from '../../oci/image-source.ts'
import type { FetchedReferrers, FetchReferrersUncached } from '../referrers.ts'

export interface ReferrersCacheOptions {
  readonly fetchReferrers: FetchReferrersUncached
  /** Milliseconds for which a list is cached; 0 caches none. */
  readonly ttlMs: number
  readonly maxBytes?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Several lists of the largest size. As objects they take about twice the bytes of the response. */
const defaultMaxBytes = 32 * 1024 * 1024
const objectOverhead = 2
const bytesPerList = 500

export const createReferrersCache = (options: ReferrersCacheOptions): FetchReferrers => {
  const { fetchReferrers, ttlMs, maxBytes = defaultMaxBytes, now = () => performance.now() } = options
  const lists = new LRUCache<string, FetchedReferrers>({
    maxSize: maxBytes,
    sizeCalculation: ({ bytes }) => bytesPerList + objectOverhead * bytes,
    ttl: ttlMs,
    perf: { now },
    ttlResolution: 0,
  })
  const share = createSingleFlight<FetchedReferrers>({ ...sharedErrors, now })
  return async ({ digest, artifactType, requester, signal }) => {
    const key = `${digest} ${artifactType ?? ''}`
    const cached = lists.get(key)
    if (cached !== undefined) return cached
    const load = async (): Promise<FetchedReferrers> => {
      const fresh = await fetchReferrers({ digest, artifactType, requester })
      // lru-cache reads a ttl of 0 as "for ever".
      if (ttlMs > 0) lists.set(key, fresh)
      return fresh
    }
    const { answer } = await share({ key, requester, load, signal })
    return answer
  }
}
