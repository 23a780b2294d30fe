/**
 * Tokens that the cluster has refused: remembered for some seconds at first, since a new one may not have reached every API server
 * yet, and for longer each time it is refused again. A client in a loop with an expired login costs the API server next to nothing.
 *
 * Attack: made-up tokens push out only what came from the same address.
 */
import { createSharedCache } from './shared-cache.ts'

export interface RefusedTokens<Refusal> {
  /** What it was refused for, while nobody need be asked again. */
  readonly known: (key: string) => Refusal | undefined
  /** It was refused, once more or for the first time. @param address of the client that showed it */
  readonly add: (key: string, refusal: Refusal, address: string) => void
  readonly forget: (key: string) => void
}

interface Entry<Refusal> {
  readonly refusal: Refusal
  readonly lifeMs: number
  readonly until: number
}

/** "Not authenticated" may hide an outage of the OAuth server behind the API server: it is believed for seconds only. */
const firstLifeMs = 5000
const maxLifeMs = 5 * 60_000
/** About 300 bytes each. */
const maxRefused = 20_000

/** @param now milliseconds */
export const createRefusedTokens = <Refusal>(now: () => number): RefusedTokens<Refusal> => {
  const entries = createSharedCache<Entry<Refusal>>(maxRefused)
  return {
    known: (key) => {
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
