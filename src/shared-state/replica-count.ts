/**
 * The number of replicas, for the share of each while the store is unavailable. A higher count is accepted at once, a lower one only after
 * a while: a store that was emptied counts one replica at first, and that one would take the whole rate.
 */
const fewerAfterMs = 15_000

export class ReplicaCount {
  readonly #now: () => number
  #value: number
  #confirmedAt: number

  /** @param configured the number until the store has counted */
  constructor(configured: number, now: () => number) {
    this.#value = configured
    this.#now = now
    this.#confirmedAt = now()
  }

  value(): number {
    return this.#value
  }

  /** @param counted below 1 if the store could not count */
  count(counted: number): void {
    if (counted < 1 || (counted < this.#value && this.#now() - this.#confirmedAt < fewerAfterMs)) return
    this.#value = counted
    this.#confirmedAt = this.#now()
  }
}
