/**
 * A cache with a safety bound: the bound is far above the usual number of entries, and the least recently used entry is evicted.
 *
 * The bound is `maxSize` and not `max`, because lru-cache allocates all slots of a `max` in its constructor: 5.6 MB and 27 ms for 200,000
 * slots, instead of 0.01 MB and 0.4 ms. In return, each entry of a full cache takes about 50 bytes more.
 */
import { LRUCache } from 'lru-cache'

export type BoundedCache<Key extends string, Value extends {}> = LRUCache<Key, Value>

export interface BoundedCacheOptions {
  /** Milliseconds for which an entry lives; unlimited unless given. */
  readonly ttlMs?: number
  /** The clock of `ttlMs` in milliseconds; monotonic unless given. */
  readonly now?: () => number
  /** Called for each entry that is evicted because the cache is full. */
  readonly onEvicted?: () => void
}

/** @param maxEntries 1 or more */
export const createBoundedCache = <Key extends string, Value extends {}>(
  maxEntries: number,
  { ttlMs, now = () => performance.now(), onEvicted }: BoundedCacheOptions = {},
): BoundedCache<Key, Value> =>
  new LRUCache<Key, Value>({
    maxSize: maxEntries,
    sizeCalculation: () => 1,
    // With a resolution other than 0, lru-cache reads the clock once a millisecond at most.
    ...(ttlMs === undefined ? {} : { ttl: ttlMs, ttlResolution: 0, perf: { now } }),
    ...(onEvicted === undefined
      ? {}
      : { dispose: (_value, _key, reason) => reason === 'evict' && onEvicted() }),
  })
