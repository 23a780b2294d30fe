/**
 * Whether a refusal may rest on what the store holds. Others may know what they could not tell: while the store takes no writes, and for
 * as long after it was away or emptied as they take to come back and send what they kept.
 */

/** The longest pause of a replica before it connects again (store-connection.ts), and a second to send. */
const settleMs = 6000

export class Certainty {
  readonly #now: () => number
  #from = -Infinity
  #wasUp = false

  /** @param now milliseconds, monotonic */
  constructor(now: () => number) {
    this.#now = now
  }

  /** The connection is another, or why it takes no writes is. Not of the first: what others kept before, they have sent long since. */
  changed(isUp: boolean): void {
    if (isUp && this.#wasUp) this.doubt()
    this.#wasUp ||= isUp
  }

  /** The store has lost what it held. */
  doubt(): void {
    this.#from = this.#now() + settleMs
  }

  isSettled(): boolean {
    return this.#now() >= this.#from
  }
}
