/**
 * What an image that nobody has seen brings along. A release payload is pulled by digest: its manifest is open as one that nobody
 * has seen, and its layers have to be, though one of them (a base layer) may be known in restricted images alone.
 *
 * For as long as such a pull takes, config and layers that an unseen manifest names are open as it was itself: to QCI-wide. Never
 * a manifest: an index that names one must not open it. Whoever names a layer's digest in a manifest of QCI has pushed there.
 */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../reference.ts'

export interface Carried {
  readonly carry: (digests: readonly Digest[]) => void
  readonly isCarried: (digest: Digest) => boolean
}

export interface CarriedOptions {
  readonly max?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** The slowest pull of a large image, and its retries. */
const carriedMs = 30 * 60_000

export const createCarried = (options: CarriedOptions = {}): Carried => {
  const { max = 100_000, now = () => performance.now() } = options
  const carried = new LRUCache<Digest, true>({ max, ttl: carriedMs, ttlResolution: 0, perf: { now } })
  return {
    carry: (digests) => {
      for (const digest of digests) carried.set(digest, true)
    },
    isCarried: (digest) => carried.has(digest),
  }
}
