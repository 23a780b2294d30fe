/**
 * The state of the services that the proxy depends on, by the outcome of the last requests to them. For people, not for probes.
 */

export interface PartState {
  /** `the API server of app.ci` */
  readonly name: string
  readonly state: 'works' | 'fails' | 'unknown'
  readonly detail?: string | undefined
  /** The path of its own page. */
  readonly page?: string | undefined
}

/** A single failed request does not count, because it may have its own cause. */
const failuresInARow = 3

export class PartHealth {
  readonly #name: string
  readonly #now: () => number
  #failures = 0
  #failingSince: number | undefined
  #hasWorked = false

  /** @param now milliseconds since the epoch */
  constructor(name: string, now: () => number = Date.now) {
    this.#name = name
    this.#now = now
  }

  /** Notes the outcome of a request. */
  note(outcome: 'answered' | 'failed'): void {
    if (outcome === 'answered') {
      this.#failures = 0
      this.#failingSince = undefined
      this.#hasWorked = true
      return
    }
    this.#failures += 1
    this.#failingSince ??= this.#now()
  }

  state(): PartState {
    const name = this.#name
    if (this.#failingSince !== undefined && (this.#failures >= failuresInARow || !this.#hasWorked))
      return {
        name,
        state: 'fails',
        detail: `since ${new Date(this.#failingSince).toISOString().slice(0, 19)}Z`,
      }
    return { name, state: this.#hasWorked ? 'works' : 'unknown' }
  }
}
