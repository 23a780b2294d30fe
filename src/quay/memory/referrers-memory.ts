/**
 * Lists of referrers, kept for a moment and asked for once however many want them. What an asker may see of a list is decided behind
 * this. Attack: a list of megabytes, fetched and held once for each of hundreds of connections that read nothing.
 */
import { LRUCache } from 'lru-cache'
import type { FetchReferrers, Referrers } from '../referrers.ts'
import { createShare } from './in-flight.ts'

export interface ReferrersMemoryOptions {
  readonly fetchReferrers: FetchReferrers
  /** Milliseconds that a list is served for; 0 keeps none. */
  readonly ttlMs: number
  readonly maxBytes?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Several lists of the largest size. As objects they take about twice the bytes that upstream sends. */
const defaultMaxBytes = 32 * 1024 * 1024
const objectOverhead = 2
const bytesPerList = 500

export const createReferrersMemory = (options: ReferrersMemoryOptions): FetchReferrers => {
  const { fetchReferrers, ttlMs, maxBytes = defaultMaxBytes, now = () => performance.now() } = options
  const lists = new LRUCache<string, Referrers>({
    maxSize: maxBytes,
    sizeCalculation: ({ bytes }) => bytesPerList + objectOverhead * bytes,
    ttl: ttlMs,
    perf: { now },
    ttlResolution: 0,
  })
  const share = createShare<Referrers>(now)
  return async ({ digest, artifactType, asker, signal }) => {
    const key = `${digest} ${artifactType ?? ''}`
    const known = lists.get(key)
    if (known !== undefined) return known
    const ask = async (): Promise<Referrers> => {
      const fresh = await fetchReferrers({ digest, artifactType, asker })
      // To the cache 0 would be forever.
      if (ttlMs > 0) lists.set(key, fresh)
      return fresh
    }
    const { answer } = await share({ key, asker, ask, signal })
    return answer
  }
}
