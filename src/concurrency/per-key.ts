/**
 * One of something for each key, made when the key is first seen: a bound of their own for each requester, say. Bounded: of too many
 * keys, the one that was seen longest ago is forgotten.
 */
import { createBoundedCache, type BoundedCache } from './bounded-cache.ts'

export class PerKey<Value extends object> {
  readonly #values: BoundedCache<string, Value>
  readonly #make: () => Value

  constructor(max: number, make: () => Value) {
    this.#values = createBoundedCache(max)
    this.#make = make
  }

  of(key: string): Value {
    const known = this.#values.get(key)
    if (known !== undefined) return known
    const made = this.#make()
    this.#values.set(key, made)
    return made
  }
}
