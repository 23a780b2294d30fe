/**
 * Answers of the API server, remembered: one question in flight per key however many ask, each outcome kept for as long
 * as it deserves, failures never. While the API server is away, a positive answer may outlive its life by the grace. It does not
 * where a question was not asked, or not answered, because of how much is asked: that is no outage.
 */
import { ReviewShed } from './review-shed.ts'
import { createSharedCache } from './shared-cache.ts'

export interface ReviewCacheOptions<Question, Answer> {
  /**
   * Asks the API server; throws where it does not answer.
   * @param last what it answered when it was asked this before, as far as that is remembered
   */
  readonly ask: (question: Question, last: Answer | undefined) => Promise<Answer>
  /** Milliseconds for which an answer holds; 0 or less: it is not kept. */
  readonly ttlMs: (answer: Answer) => number
  /** Milliseconds since it was given for which an answer still counts while `ask` fails; 0 for an answer that must not. */
  readonly graceMs: (answer: Answer) => number
  /** In whose share of the room an answer is kept. */
  readonly ownerOf: (question: Question, answer: Answer) => string
  /** Bound on remembered answers. */
  readonly max: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

export interface ReviewCache<Question, Answer> {
  /** The answer, and where it came from. @throws what `ask` throws, where no grace applies */
  readonly answer: (key: string, question: Question) => Promise<{ answer: Answer; source: Source }>
  /** What `answer` would give, if it is known and still holds: asks nobody. */
  readonly known: (key: string) => { answer: Answer; source: 'cached' | 'grace' } | undefined
  /** The answer, if it is known and still holds: asks nobody, and does not count as a use of it. */
  readonly peek: (key: string) => Answer | undefined
  /** The answer, if it would count while `ask` fails: asks nobody. For whoever has just seen a question fail. */
  readonly peekInGrace: (key: string) => Answer | undefined
}

export type Source = 'live' | 'cached' | 'grace'

interface Kept<Answer> {
  readonly answer: Answer
  readonly askedAt: number
  /** Until then it holds by itself, or in grace without another try. */
  readonly until: number
  readonly inGrace: boolean
}

/** How long an answer in grace is used before the API server is tried again: short, so that its return is noticed. */
const graceRetryMs = 1000

export const createReviewCache = <Question, Answer>(
  options: ReviewCacheOptions<Question, Answer>,
): ReviewCache<Question, Answer> => {
  const { ask, ttlMs, graceMs, ownerOf, max, now } = options
  const cache = createSharedCache<Kept<Answer>>(max)
  const asking = new Map<string, Promise<Kept<Answer>>>()
  const holds = (kept: Kept<Answer> | undefined): kept is Kept<Answer> =>
    kept !== undefined && now() < kept.until
  const graceLeft = ({ answer, askedAt }: Kept<Answer>): number => graceMs(answer) - (now() - askedAt)

  /** What counts instead of an answer that did not come. @throws the error */
  const inGrace = (stale: Kept<Answer> | undefined, error: unknown): Kept<Answer> => {
    // Attack: under a flood of one's own a revoked binding would live on for the whole of the grace.
    if (stale === undefined || error instanceof ReviewShed || graceLeft(stale) <= 0) throw error
    // Neither the grace nor a life that has an end of its own (an expiring token) is stretched by the wait.
    const lifeMs = Math.min(graceRetryMs, graceLeft(stale), ttlMs(stale.answer))
    return { ...stale, until: now() + lifeMs, inGrace: true }
  }

  const askFor = async (key: string, question: Question): Promise<Kept<Answer>> => {
    let kept: Kept<Answer>
    try {
      const answer = await ask(question, cache.peek(key)?.answer)
      kept = { answer, askedAt: now(), until: now() + ttlMs(answer), inGrace: false }
    } catch (error) {
      kept = inGrace(cache.peek(key), error)
    }
    if (kept.until > now()) cache.set(key, kept, ownerOf(question, kept.answer))
    else cache.delete(key)
    return kept
  }

  const share = (key: string, question: Question): Promise<Kept<Answer>> => {
    const promise = askFor(key, question).finally(() => asking.delete(key))
    asking.set(key, promise)
    return promise
  }

  const sourceOf = ({ inGrace: isInGrace }: Kept<Answer>) => (isInGrace ? 'grace' : 'cached')
  return {
    answer: async (key, question) => {
      const kept = cache.get(key)
      if (holds(kept)) return { answer: kept.answer, source: sourceOf(kept) }
      const shared = asking.get(key)
      const given = await (shared ?? share(key, question))
      const source = shared === undefined && !given.inGrace ? 'live' : sourceOf(given)
      return { answer: given.answer, source }
    },
    known: (key) => {
      const kept = cache.get(key)
      return holds(kept) ? { answer: kept.answer, source: sourceOf(kept) } : undefined
    },
    peek: (key) => {
      const kept = cache.peek(key)
      return holds(kept) ? kept.answer : undefined
    },
    peekInGrace: (key) => {
      const kept = cache.peek(key)
      return kept !== undefined && graceLeft(kept) > 0 ? kept.answer : undefined
    },
  }
}
