/**
 * How fast one requester is refused. Attack: somebody without any right asks on hundreds of connections for what is refused at once. Each
 * refusal is cheap, and together they take the whole processor from those who pull. So a requester who is refused again and again is
 * answered late; nobody else is, and no answer changes.
 */
import { Pace } from '../concurrency/pace.ts'

export interface RefusalPaceOptions {
  /** Refusals at once that are answered without a delay: more than the requests of any pull. */
  readonly burst?: number
  /** And so many a second after that. */
  readonly perSecond?: number
  /** Milliseconds by which those beyond are answered late. */
  readonly delayMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Answers to those who may not. What is not there, or is wrong with upstream or with us, is nobody's doing. */
const refusals: ReadonlySet<number> = new Set([401, 403, 429])

export class RefusalPace {
  readonly #pace: Pace
  readonly #delayMs: number

  constructor({ burst = 500, perSecond = 100, delayMs = 1000, now }: RefusalPaceOptions = {}) {
    this.#pace = new Pace({ burst, everyMs: 1000 / perSecond, maxWaitMs: 0, ...(now && { now }) })
    this.#delayMs = delayMs
  }

  /** Milliseconds by which an answer of this status is to be late. @param requester an identity; an address, where nobody is known */
  delayOf(requester: string, status: number): number {
    if (!refusals.has(status)) return 0
    return this.#pace.next(requester) === undefined ? this.#delayMs : 0
  }
}
