/**
 * A server in trouble is not asked by everybody: after enough troubles in a row, questions fail at once, and a single one at a time
 * is asked beside them to find out whether the server is back. Nobody waits for that one, since it takes as long as the trouble does.
 *
 * What is trouble is for the conversation to say. Where only silence is (a question that ran into its deadline), failures that come
 * fast do not open it: they cost nobody time, and may be of one question alone.
 */

export interface BreakerOptions {
  /**
   * Tells a failure that speaks against the server. Any other says nothing about it, as that of a client that left; what is an
   * answer, as a 404, is to be returned.
   */
  readonly isTrouble: (error: unknown) => boolean
  /** Tells a failure that says nothing at all: an attempt that ends with it leaves everything as it was. None, unless given. */
  readonly isNothing?: (error: unknown) => boolean
  /** What those get who are not asked for. */
  readonly refuse: () => Error
  /** Troubles without an answer in between that open it. */
  readonly threshold?: number
  /** Different things at least that they are about: what is broken by itself speaks only for itself. */
  readonly minAbout?: number
  /** Milliseconds between two attempts: so long a return goes unnoticed at most. */
  readonly retryMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * `ask` may be called after its caller was refused, and its answer be dropped: it must not end with the caller.
 * @param about what it asks for, where questions are not all alike
 * @throws what `ask` throws, or what `refuse` makes
 */
export type Breaker = <Answer>(ask: () => Promise<Answer>, about?: string) => Promise<Answer>

/** Whose attempt it is, and when. */
interface Turn {
  dueAt: number
  isOut: boolean
}

/** Names of what had trouble: more than a server in trouble needs to show that it is, and no more memory than that. */
const maxTroubled = 64

export const createBreaker = (options: BreakerOptions): Breaker => {
  const { isTrouble, isNothing = () => false, refuse } = options
  const { threshold = 1, minAbout = 1, retryMs = 1000, now = () => performance.now() } = options
  let answeredAt = -Infinity
  let isOpen = false
  /** Since the last answer, as is what they were about. */
  let troubles = 0
  const troubled = new Set<string>()
  /**
   * Attack: who asks again and again for what is broken would have every attempt, and keep it open for all. What has had no trouble
   * yet has a turn of its own.
   */
  const again: Turn = { dueAt: 0, isOut: false }
  const other: Turn = { dueAt: 0, isOut: false }

  const answered = (): void => {
    answeredAt = now()
    troubles = 0
    troubled.clear()
    isOpen = false
  }

  /** Whether it speaks against the server: not where another question was answered since this one was asked. */
  const tells = (error: unknown, began: number): boolean => isTrouble(error) && answeredAt <= began

  const note = (about: string): void => {
    troubles += 1
    if (troubled.size < maxTroubled) troubled.add(about)
    if (isOpen || troubles < threshold || troubled.size < minAbout) return
    isOpen = true
    again.dueAt = other.dueAt = now() + retryMs
  }

  const askNow = async <Answer>(ask: () => Promise<Answer>, about: string): Promise<Answer> => {
    const began = now()
    try {
      const answer = await ask()
      answered()
      return answer
    } catch (error) {
      if (tells(error, began)) note(about)
      throw error
    }
  }

  const attempt = async (ask: () => Promise<unknown>, about: string, turn: Turn): Promise<void> => {
    const began = now()
    turn.isOut = true
    try {
      await ask()
      answered()
    } catch (error) {
      if (tells(error, began)) {
        note(about)
        turn.dueAt = now() + retryMs
        // It answers, if only with errors. The troubles are not forgotten: the next one opens it again.
      } else if (!isNothing(error)) isOpen = false
    }
    turn.isOut = false
  }

  return async (ask, about = '') => {
    if (!isOpen) return await askNow(ask, about)
    const turn = troubled.has(about) ? again : other
    if (!turn.isOut && now() >= turn.dueAt) void attempt(ask, about, turn)
    throw refuse()
  }
}
