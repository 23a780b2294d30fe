/**
 * A short list of digests for each digest. The number of lists and their length are bounded: a full list drops its oldest entry.
 */
import { createBoundedCache, type BoundedCache } from '../concurrency/bounded-cache.ts'
import type { DigestKey } from './digest-key.ts'

const maxLength = 32

export class KeyLists {
  readonly #lists: BoundedCache<DigestKey, readonly DigestKey[]>

  /** @param maxLists bound on digests that have a list */
  constructor(maxLists: number) {
    this.#lists = createBoundedCache(maxLists)
  }

  get(key: DigestKey): readonly DigestKey[] {
    return this.#lists.get(key) ?? []
  }

  add(key: DigestKey, added: DigestKey): void {
    const before = this.get(key)
    if (!before.includes(added)) this.#lists.set(key, [...before.slice(1 - maxLength), added])
  }

  remove(key: DigestKey, removed: DigestKey): void {
    const before = this.get(key)
    if (before.includes(removed))
      this.#lists.set(
        key,
        before.filter((one) => one !== removed),
      )
  }

  /** Removes the list, and returns it. */
  take(key: DigestKey): readonly DigestKey[] {
    const before = this.get(key)
    this.#lists.delete(key)
    return before
  }
}
