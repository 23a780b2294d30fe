/**
 * A bulkhead: a limited number of permits, shared out by holder. Any holder may take a permit while three quarters are not taken. The last
 * quarter is only for holders with less than an equal share. The share is computed for one holder more than there are, so that a permit is
 * left for a newcomer.
 * @see https://learn.microsoft.com/azure/architecture/patterns/bulkhead
 *
 * Attack: one requester with many slow requests would take every permit, and all others would be refused.
 */
const unsharedPart = 0.75
const backgroundPart = 0.5

export class Bulkhead {
  readonly #max: number
  /** Permits of each holder; holders without a permit are not in the map. */
  readonly #held = new Map<string, number>()
  #taken = 0
  /** Permits of the background, which is not a holder and has no share. */
  #background = 0

  /** @param max permits of all holders together */
  constructor(max: number) {
    this.#max = max
  }

  /** Permits that are taken. */
  get taken(): number {
    return this.#taken
  }

  /** False if there is no permit for this holder now. A taken permit must be given back. */
  readonly take = (holder: string): boolean => {
    const own = this.#held.get(holder) ?? 0
    const share = (this.#max - this.#background) / (this.#held.size + 1)
    const isOpen = this.#taken < this.#max * unsharedPart || (this.#taken < this.#max && own < share)
    if (!isOpen) return false
    this.#held.set(holder, own + 1)
    this.#taken += 1
    return true
  }

  giveBack(holder: string): void {
    const own = this.#held.get(holder) as number
    if (own === 1) this.#held.delete(holder)
    else this.#held.set(holder, own - 1)
    this.#taken -= 1
  }

  /** For background requests: never the second half of the permits. */
  readonly takeInBackground = (): boolean => {
    if (this.#taken >= this.#max * backgroundPart) return false
    this.#taken += 1
    this.#background += 1
    return true
  }

  giveBackInBackground(): void {
    this.#taken -= 1
    this.#background -= 1
  }
}
