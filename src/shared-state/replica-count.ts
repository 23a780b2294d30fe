/**
 * How many replicas there are, for the share of each while the store is away. More are believed at once, fewer only when they were
 * counted for a while: a store that was emptied knows of one at first, and that one would take the rate of all.
 */
const fewerAfterMs = 15_000

export class ReplicaCount {
  readonly #now: () => number
  #value: number
  #confirmedAt: number

  /** @param configured believed until they are counted */
  constructor(configured: number, now: () => number) {
    this.#value = configured
    this.#now = now
    this.#confirmedAt = now()
  }

  value(): number {
    return this.#value
  }

  /** @param counted below 1 where nobody could count */
  count(counted: number): void {
    if (counted < 1 || (counted < this.#value && this.#now() - this.#confirmedAt < fewerAfterMs)) return
    this.#value = counted
    this.#confirmedAt = this.#now()
  }
}
