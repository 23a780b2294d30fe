/**
 * Cached answers of the API server. Each answer has a life of its own, failures are not cached, and a key has one request in flight
 * (single-flight). While the API server is unavailable, a positive answer stays valid until its grace
 * ends, which is counted from the answer.
 */
import { createSingleFlight } from '../concurrency/single-flight.ts'
import { ReviewShed } from './review-shed.ts'
import { createFairCache } from './fair-cache.ts'

export interface ReviewCacheOptions<Request, Answer> {
  /**
   * Sends the request to the API server; throws if there is no answer.
   * @param last the answer to the last request of this key, if it is still cached
   */
  readonly load: (request: Request, last: Answer | undefined) => Promise<Answer>
  /** Called once for each request that was sent and not answered, however many callers wait for it. */
  readonly onUnanswered: () => void
  /** Milliseconds for which an answer is valid; 0 or less: it is not cached. */
  readonly ttlMs: (answer: Answer) => number
  /** Milliseconds after the answer for which it stays valid while `load` fails; 0 for an answer without a grace. */
  readonly graceMs: (answer: Answer) => number
  /** Whose share of the cache the answer takes. */
  readonly ownerOf: (request: Request, answer: Answer) => string
  /** Bound on cached answers. */
  readonly max: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

export type Source = 'live' | 'cached' | 'grace'

/** An answer, and where it came from. */
export interface Sourced<Answer, From extends Source = Source> {
  readonly answer: Answer
  readonly source: From
}

interface Entry<Answer> {
  readonly cached: Sourced<Answer, 'cached' | 'grace'>
  readonly answeredAt: number
  /** The end of its life, or of the wait before the next attempt in the grace. */
  readonly until: number
}

/** How long an answer in its grace is used before the next attempt: short, so that the proxy notices when the API server returns. */
const graceRetryMs = 1000

export class ReviewCache<Request, Answer> {
  readonly #options: ReviewCacheOptions<Request, Answer>
  readonly #entries
  readonly #flights

  constructor(options: ReviewCacheOptions<Request, Answer>) {
    this.#options = options
    this.#entries = createFairCache<Entry<Answer>>(options.max)
    this.#flights = createSingleFlight<Entry<Answer>>()
  }

  /** Sends a request if no valid answer is cached. @throws what `load` throws, if no grace applies */
  async answer(key: string, request: Request): Promise<Sourced<Answer>> {
    const cached = this.cached(key)
    if (cached !== undefined) return cached
    const load = async () => await this.#load(key, request)
    const { answer: entry, source } = await this.#flights({ key, load })
    return source === 'live' && entry.cached.source === 'cached'
      ? { answer: entry.cached.answer, source }
      : entry.cached
  }

  /** The valid cached answer; sends nothing. */
  cached(key: string): Sourced<Answer, 'cached' | 'grace'> | undefined {
    const entry = this.#entries.get(key)
    return this.#isValid(entry) ? entry.cached : undefined
  }

  /** The valid cached answer; sends nothing, and does not count as a use of the entry. */
  peek(key: string): Answer | undefined {
    const entry = this.#entries.peek(key)
    return this.#isValid(entry) ? entry.cached.answer : undefined
  }

  /** The answer that `answer` would give if `load` failed; sends nothing. For a caller that has just seen a failure. */
  peekInGrace(key: string): Answer | undefined {
    const entry = this.#entries.peek(key)
    return entry !== undefined && this.#graceLeft(entry) > 0 ? entry.cached.answer : undefined
  }

  async #load(key: string, request: Request): Promise<Entry<Answer>> {
    const { load, ttlMs, ownerOf, now } = this.#options
    let entry: Entry<Answer>
    try {
      const answer = await load(request, this.#entries.peek(key)?.cached.answer)
      entry = { cached: { answer, source: 'cached' }, answeredAt: now(), until: now() + ttlMs(answer) }
    } catch (error) {
      if (!(error instanceof ReviewShed)) this.#options.onUnanswered()
      entry = this.#inGrace(this.#entries.peek(key), error)
    }
    if (entry.until > now()) this.#entries.set(key, entry, ownerOf(request, entry.cached.answer))
    else this.#entries.delete(key)
    return entry
  }

  /** The answer that replaces a failed request. @throws the error, if there is none */
  #inGrace(stale: Entry<Answer> | undefined, error: unknown): Entry<Answer> {
    // Attack: a user whose flood of requests is shed would keep a revoked binding alive for the whole grace.
    if (stale === undefined || error instanceof ReviewShed || this.#graceLeft(stale) <= 0) throw error
    const { ttlMs, now } = this.#options
    // The wait extends neither the grace nor a life that ends by itself (of an expiring token).
    const { answer } = stale.cached
    const lifeMs = Math.min(graceRetryMs, this.#graceLeft(stale), ttlMs(answer))
    return { ...stale, cached: { answer, source: 'grace' }, until: now() + lifeMs }
  }

  #graceLeft({ cached, answeredAt }: Entry<Answer>): number {
    const { graceMs, now } = this.#options
    return graceMs(cached.answer) - (now() - answeredAt)
  }

  #isValid(entry: Entry<Answer> | undefined): entry is Entry<Answer> {
    return entry !== undefined && this.#options.now() < entry.until
  }
}
