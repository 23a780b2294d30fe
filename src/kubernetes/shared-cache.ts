/**
 * A bounded cache whose room is shared out by owner: whoever has more in it than an equal share pushes out their own, and nobody
 * else's. lru-cache, and every other one that we know, has one order for all: one asker with enough questions empties it.
 */
export interface SharedCache<Value> {
  /** The value, which counts as a use of it. */
  readonly get: (key: string) => Value | undefined
  /** The value, which does not. */
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
export const createSharedCache = <Value>(max: number): SharedCache<Value> => {
  /** Least recently used first, as is the set of each owner. A Map keeps the order in which keys came in. */
  const entries = new Map<string, Entry<Value>>()
  const owners = new Map<string, Set<string>>()

  const remove = (key: string): void => {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    const own = owners.get(entry.owner) as Set<string>
    own.delete(key)
    if (own.size === 0) owners.delete(entry.owner)
  }
  const append = (key: string, entry: Entry<Value>): void => {
    entries.set(key, entry)
    owners.set(entry.owner, (owners.get(entry.owner) ?? new Set()).add(key))
  }

  /** Of whoever has just come where they have more than their share, else what nobody has used for longest. */
  const evict = (owner: string): void => {
    const own = owners.get(owner) as Set<string>
    const isGreedy = own.size > 1 && own.size * owners.size > max
    const [oldest = ''] = isGreedy ? own : entries.keys()
    remove(oldest)
  }

  return {
    size: () => entries.size,
    peek: (key) => entries.get(key)?.value,
    get: (key) => {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      remove(key)
      append(key, entry)
      return entry.value
    },
    set: (key, value, owner) => {
      remove(key)
      append(key, { value, owner })
      if (entries.size > max) evict(owner)
    },
    delete: remove,
  }
}
