/**
 * A bound that is shared out: each holder may have as much as is left free, and no more. One alone gets half of everything, two a
 * third each, and something is left for the next one, however many there are. No number of holders has to be known for it.
 * @see https://doi.org/10.1109/90.664262 (dynamic thresholds, Choudhury and Hahne)
 */
export class FairShares {
  readonly #capacity: number
  readonly #held = new Map<string, number>()
  #total = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** False where the holder would have more than is left. What is taken has to be given back. */
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
