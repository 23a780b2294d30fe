/**
 * Shares out a limit: each holder may take as much as is free. One holder alone gets half of the limit, two get a third each, and some is
 * always left for the next one. The number of holders need not be known.
 * @see https://doi.org/10.1109/90.664262 (dynamic thresholds, Choudhury and Hahne)
 */
export class FairShares {
  readonly #capacity: number
  readonly #held = new Map<string, number>()
  #total = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** False if the holder would take more than is free. The caller must release what it took. */
  tryTake(holder: string, amount = 1): boolean {
    const held = this.#held.get(holder) ?? 0
    if (held + amount > this.#capacity - this.#total) return false
    this.#held.set(holder, held + amount)
    this.#total += amount
    return true
  }

  giveBack(holder: string, amount = 1): void {
    const left = (this.#held.get(holder) as number) - amount
    if (left > 0) this.#held.set(holder, left)
    else this.#held.delete(holder)
    this.#total -= amount
  }

  get total(): number {
    return this.#total
  }
}
