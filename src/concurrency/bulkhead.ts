/**
 * A bulkhead: so many places, of which nobody can hold all. Up to three quarters of them go to whoever asks. Those beyond are for holders
 * with less than their share, counted as if one more came, so that a newcomer finds a place.
 * @see https://learn.microsoft.com/azure/architecture/patterns/bulkhead
 *
 * Attack: one requester of many things that are slow, or away, would take every place, and everybody else would be sent away.
 */
const unsharedPart = 0.75
const backgroundPart = 0.5

export class Bulkhead {
  readonly #max: number
  /** Places of each holder; nobody is in it without one. */
  readonly #held = new Map<string, number>()
  #taken = 0
  /** Of these, by the background, which is none of those who share them. */
  #background = 0

  /** @param max places of all holders together */
  constructor(max: number) {
    this.#max = max
  }

  /** Places that are taken. */
  get taken(): number {
    return this.#taken
  }

  /** False where there is none for this holder now. What is taken has to be given back. */
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

  /** For what nobody waits for: never in the second half of the places. */
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
