/**
 * Answers of the API server, remembered: one question in flight per key however many ask, each outcome kept for as long
 * as it deserves, failures never. While the API server is away, a positive answer may outlive its life by the grace.
 */
import { LRUCache } from 'lru-cache'

export interface RememberedOptions<Question, Answer> {
  /** Asks the API server; throws where it does not answer. */
  readonly ask: (question: Question) => Promise<Answer>
  /** Milliseconds for which an answer holds. */
  readonly ttlMs: (answer: Answer) => number
  /** Milliseconds since it was given for which an answer still counts while `ask` fails; 0 for an answer that must not. */
  readonly graceMs: (answer: Answer) => number
  /** Bound on remembered answers. */
  readonly max: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

export interface Remembered<Question, Answer> {
  /** The answer, and where it came from. @throws what `ask` throws, where no grace applies */
  readonly answer: (key: string, question: Question) => Promise<{ answer: Answer; source: Source }>
  /** What `answer` would give, if it is known and still holds: asks nobody. */
  readonly known: (key: string) => { answer: Answer; source: 'cached' | 'grace' } | undefined
  /** The answer, if it is known and still holds: asks nobody, and does not count as a use of it. */
  readonly peek: (key: string) => Answer | undefined
  /** The answer, if it would count while `ask` fails: asks nobody. For whoever has just seen a question fail. */
  readonly peekInGrace: (key: string) => Answer | undefined
}

export type Source = 'asked' | 'cached' | 'grace'

interface Kept<Answer> {
  readonly answer: Answer
  readonly askedAt: number
  readonly inGrace: boolean
}

interface Asking<Question> {
  readonly question: Question
  /** Set for the one caller whose question went out; the others wait for its answer. */
  asked: boolean
}

/** How long an answer in grace is used before the API server is tried again: short, so that its return is noticed. */
const graceRetryMs = 1000
// lru-cache reads a life of 0 as "for ever".
const shortestLifeMs = 1

export const createRemembered = <Question, Answer>(
  options: RememberedOptions<Question, Answer>,
): Remembered<Question, Answer> => {
  const { ask, ttlMs, graceMs, max, now } = options
  const graceLeft = ({ answer, askedAt }: Kept<Answer>): number => graceMs(answer) - (now() - askedAt)
  const cache = new LRUCache<string, Kept<Answer>, Asking<Question>>({
    max,
    ttl: shortestLifeMs,
    ttlResolution: 0,
    perf: { now },
    // What is over may be needed yet, in grace.
    noDeleteOnStaleGet: true,
    // An evicted question still has people waiting for its answer.
    ignoreFetchAbort: true,
    fetchMethod: async (_key, stale, { options: entry, context }) => {
      context.asked = true
      try {
        const answer = await ask(context.question)
        entry.ttl = Math.max(ttlMs(answer), shortestLifeMs)
        return { answer, askedAt: now(), inGrace: false }
      } catch (error) {
        if (stale === undefined || graceLeft(stale) <= 0) throw error
        // Neither the grace nor a life that has an end of its own (an expiring token) is stretched by the wait.
        const lifeMs = Math.min(graceRetryMs, graceLeft(stale), ttlMs(stale.answer))
        entry.ttl = Math.max(lifeMs, shortestLifeMs)
        return { ...stale, inGrace: true }
      }
    },
  })
  return {
    answer: async (key, question) => {
      const context = { question, asked: false }
      const kept = await cache.forceFetch(key, { context })
      return { answer: kept.answer, source: kept.inGrace ? 'grace' : context.asked ? 'asked' : 'cached' }
    },
    known: (key) => {
      const kept = cache.get(key)
      return kept === undefined
        ? undefined
        : { answer: kept.answer, source: kept.inGrace ? 'grace' : 'cached' }
    },
    peek: (key) => cache.peek(key)?.answer,
    peekInGrace: (key) => {
      const kept = cache.peek(key, { allowStale: true })
      return kept !== undefined && graceLeft(kept) > 0 ? kept.answer : undefined
    },
  }
}
