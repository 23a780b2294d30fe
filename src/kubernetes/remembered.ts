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
  /** The answer, if it is known and still holds: asks nobody. */
  readonly peek: (key: string) => Answer | undefined
}

export type Source = 'asked' | 'cached' | 'grace'

interface Kept<Answer> {
  readonly answer: Answer
  readonly askedAt: number
  readonly inGrace: boolean
}

/** How long an answer in grace is used before the API server is tried again: short, so that its return is noticed. */
const graceRetryMs = 1000
// lru-cache reads a life of 0 as "for ever".
const shortestLifeMs = 1

export const createRemembered = <Question, Answer>(
  options: RememberedOptions<Question, Answer>,
): Remembered<Question, Answer> => {
  const { ask, ttlMs, graceMs, max, now } = options
  const cache = new LRUCache<string, Kept<Answer>, { question: Question }>({
    max,
    ttl: shortestLifeMs,
    ttlResolution: 0,
    perf: { now },
    // An evicted question still has people waiting for its answer.
    ignoreFetchAbort: true,
    fetchMethod: async (_key, stale, { options: entry, context }) => {
      try {
        const answer = await ask(context.question)
        entry.ttl = Math.max(ttlMs(answer), shortestLifeMs)
        return { answer, askedAt: now(), inGrace: false }
      } catch (error) {
        if (stale === undefined || now() - stale.askedAt >= graceMs(stale.answer)) throw error
        entry.ttl = graceRetryMs
        return { ...stale, inGrace: true }
      }
    },
  })
  return {
    answer: async (key, question) => {
      const known = cache.has(key)
      const kept = await cache.forceFetch(key, { context: { question } })
      return { answer: kept.answer, source: kept.inGrace ? 'grace' : known ? 'cached' : 'asked' }
    },
    peek: (key) => cache.peek(key)?.answer,
  }
}
