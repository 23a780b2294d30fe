/**
 * Delays refusals over a rate limit, by requester. Attack: a requester without access sends requests on hundreds of connections. Each
 * refusal is cheap, but together they take the whole CPU. Refusals over the limit are sent late, with the same content. Other requesters
 * are not affected.
 */
import { Pace } from '../concurrency/pace.ts'

export interface RefusalPaceOptions {
  /** Refusals without a delay: more than a pull has requests. */
  readonly burst?: number
  /** Further refusals without a delay, per second. */
  readonly perSecond?: number
  /** Milliseconds of delay for refusals over the limit. */
  readonly delayMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Statuses of a refusal. Missing images and errors of upstream or the proxy are not the requester's doing. */
const refusals: ReadonlySet<number> = new Set([401, 403, 429])

export class RefusalPace {
  readonly #pace: Pace
  readonly #delayMs: number

  constructor({ burst = 500, perSecond = 100, delayMs = 1000, now }: RefusalPaceOptions = {}) {
    this.#pace = new Pace({ burst, everyMs: 1000 / perSecond, maxWaitMs: 0, ...(now && { now }) })
    this.#delayMs = delayMs
  }

  /** Milliseconds of delay for a response of this status. @param requester an identity, or an address before authentication */
  delayOf(requester: string, status: number): number {
    if (!refusals.has(status)) return 0
    return this.#pace.next(requester) === undefined ? this.#delayMs : 0
  }
}
