/**
 * Keys in the order of their use. Each operation takes constant time. A Map has an order, too, but the search for its first key visits all
 * keys that were deleted before it: under a flood, which deletes the first key each time, that is tens of thousands.
 */
interface Link {
  before: string | undefined
  after: string | undefined
}

export class LeastRecentlyUsed {
  readonly #links = new Map<string, Link>()
  #oldest: string | undefined
  #newest: string | undefined

  get size(): number {
    return this.#links.size
  }

  /** The least recently used key; undefined if there is no key. */
  get oldest(): string | undefined {
    return this.#oldest
  }

  /** Makes it the most recently used key. */
  use(key: string): void {
    if (key === this.#newest) return
    this.remove(key)
    this.#links.set(key, { before: this.#newest, after: undefined })
    const newest = this.#linkOf(this.#newest)
    if (newest === undefined) this.#oldest = key
    else newest.after = key
    this.#newest = key
  }

  remove(key: string): void {
    const link = this.#links.get(key)
    if (link === undefined) return
    this.#links.delete(key)
    const [before, after] = [this.#linkOf(link.before), this.#linkOf(link.after)]
    if (before === undefined) this.#oldest = link.after
    else before.after = link.after
    if (after === undefined) this.#newest = link.before
    else after.before = link.before
  }

  #linkOf(key: string | undefined): Link | undefined {
    return key === undefined ? undefined : this.#links.get(key)
  }
}
