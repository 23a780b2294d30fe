/**
 * Caches the tokens that the cluster has refused: for some seconds at first, because a new token may not have reached every API server
 * yet, and for longer after each further refusal. So a client that retries with an expired login causes few reviews.
 *
 * Attack: made-up tokens of one address that evict the entries of others. An address over its share of the cache evicts its own entries.
 */
import { createFairCache } from './fair-cache.ts'

export interface RefusedTokens<Refusal> {
  /** The refusal, while it is cached. */
  readonly get: (key: string) => Refusal | undefined
  /** Caches a refusal, the first one or a further one. @param address of the client that showed the token */
  readonly add: (key: string, refusal: Refusal, address: string) => void
  readonly forget: (key: string) => void
}

interface Entry<Refusal> {
  readonly refusal: Refusal
  readonly lifeMs: number
  readonly until: number
}

/** "Not authenticated" may hide that the OAuth server behind the API server is down: it is cached for seconds only. */
const firstLifeMs = 5000
const maxLifeMs = 5 * 60_000
/** About 300 bytes each. */
const maxRefused = 20_000

/** @param now milliseconds */
export const createRefusedTokens = <Refusal>(now: () => number): RefusedTokens<Refusal> => {
  const entries = createFairCache<Entry<Refusal>>(maxRefused)
  return {
    get: (key) => {
      const entry = entries.get(key)
      return entry !== undefined && now() < entry.until ? entry.refusal : undefined
    },
    add: (key, refusal, address) => {
      const last = entries.peek(key)
      const lifeMs = last === undefined ? firstLifeMs : Math.min(maxLifeMs, 2 * last.lifeMs)
      entries.set(key, { refusal, lifeMs, until: now() + lifeMs }, address)
    },
    forget: entries.delete,
  }
}
