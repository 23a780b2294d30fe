/**
 * How fast one requester is refused. Attack: somebody without any right asks on hundreds of connections for what is refused at once. Each
 * refusal is cheap, and together they take the whole processor from those who pull. So a requester who is refused again and again is
 * answered late; nobody else is, and no answer changes.
 */
import { LRUCache } from 'lru-cache'

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

interface Allowance {
  left: number
  at: number
}

/** About 200 bytes each. */
const maxRequesters = 20_000
/** Answers to those who may not. What is not there, or is wrong with upstream or with us, is nobody's doing. */
const refusals: ReadonlySet<number> = new Set([401, 403, 429])

export class RefusalPace {
  readonly #burst: number
  readonly #perSecond: number
  readonly #delayMs: number
  readonly #now: () => number
  readonly #allowances = new LRUCache<string, Allowance>({ maxSize: maxRequesters, sizeCalculation: () => 1 })

  constructor(options: RefusalPaceOptions = {}) {
    this.#burst = options.burst ?? 500
    this.#perSecond = options.perSecond ?? 100
    this.#delayMs = options.delayMs ?? 1000
    this.#now = options.now ?? (() => performance.now())
  }

  /** Milliseconds by which an answer of this status is to be late. @param requester an identity; an address, where nobody is known */
  delayOf(requester: string, status: number): number {
    if (!refusals.has(status)) return 0
    const now = this.#now()
    const allowance = this.#allowances.get(requester) ?? { left: this.#burst, at: now }
    const refilled = allowance.left + ((now - allowance.at) / 1000) * this.#perSecond
    const left = Math.min(this.#burst, refilled)
    const isFree = left >= 1
    this.#allowances.set(requester, { left: isFree ? left - 1 : left, at: now })
    return isFree ? 0 : this.#delayMs
  }
}
