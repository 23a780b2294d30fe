/**
 * A bounded cache with an equal share for each owner: an owner with more than its share evicts its own entries.
 *
 * Not lru-cache: it has one order for all owners, so one requester with enough entries would evict those of all others.
 */
import { LeastRecentlyUsed } from '../concurrency/least-recently-used.ts'

export interface FairCache<Value> {
  /** The value; this counts as a use of the entry. */
  readonly get: (key: string) => Value | undefined
  /** The value; this does not count as a use. */
  readonly peek: (key: string) => Value | undefined
  readonly set: (key: string, value: Value, owner: string) => void
  readonly delete: (key: string) => void
  readonly size: () => number
}

interface Entry<Value> {
  readonly value: Value
  readonly owner: string
}

/** @param max values of all owners together */
export const createFairCache = <Value>(max: number): FairCache<Value> => {
  const entries = new Map<string, Entry<Value>>()
  const order = new LeastRecentlyUsed()
  const owners = new Map<string, LeastRecentlyUsed>()

  const remove = (key: string): void => {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    order.remove(key)
    const own = owners.get(entry.owner) as LeastRecentlyUsed
    own.remove(key)
    if (own.size === 0) owners.delete(entry.owner)
  }
  const use = (key: string, owner: string): LeastRecentlyUsed => {
    const own = owners.get(owner) ?? new LeastRecentlyUsed()
    owners.set(owner, own)
    order.use(key)
    own.use(key)
    return own
  }

  return {
    size: () => entries.size,
    peek: (key) => entries.get(key)?.value,
    get: (key) => {
      const entry = entries.get(key)
      if (entry !== undefined) use(key, entry.owner)
      return entry?.value
    },
    set: (key, value, owner) => {
      remove(key)
      entries.set(key, { value, owner })
      const own = use(key, owner)
      if (entries.size <= max) return
      // Evicts from the owner of the new entry if it has more than its share, otherwise the least recently used entry of all.
      const isGreedy = own.size > 1 && own.size * owners.size > max
      remove((isGreedy ? own : order).oldest as string)
    },
    delete: remove,
  }
}
