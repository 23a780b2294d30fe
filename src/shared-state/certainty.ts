/**
 * Whether a refusal may rely on the facts in the store. It may not while other replicas may have unsent facts: while the store takes no
 * writes, and for some seconds after it was unavailable or emptied, until they have reconnected and sent their facts.
 */

/** The longest pause of a replica before it reconnects (store-connection.ts), and a second to send. */
const settleMs = 6000

export class Certainty {
  readonly #now: () => number
  #from = -Infinity
  #wasUp = false

  /** @param now milliseconds, monotonic */
  constructor(now: () => number) {
    this.#now = now
  }

  /** The connection, or its reason to take no writes, has changed. The first connection does not count: the others have sent their facts. */
  changed(isUp: boolean): void {
    if (isUp && this.#wasUp) this.doubt()
    this.#wasUp ||= isUp
  }

  /** The store has lost facts. */
  doubt(): void {
    this.#from = this.#now() + settleMs
  }

  isSettled(): boolean {
    return this.#now() >= this.#from
  }
}
