/**
 * One value for each key, created when the key is first used: a rate limit for each requester, for example. If there are too many keys, the
 * least recently used one is evicted.
 */
import { createBoundedCache, type BoundedCache } from './bounded-cache.ts'

export class PerKey<Value extends object> {
  readonly #values: BoundedCache<string, Value>
  readonly #create: () => Value

  constructor(max: number, create: () => Value) {
    this.#values = createBoundedCache(max)
    this.#create = create
  }

  of(key: string): Value {
    const existing = this.#values.get(key)
    if (existing !== undefined) return existing
    const created = this.#create()
    this.#values.set(key, created)
    return created
  }
}
