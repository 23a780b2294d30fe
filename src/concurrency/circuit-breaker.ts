/**
 * A server in trouble is not asked by everybody: after enough troubles in a row, questions fail at once, and a single one at a time
 * is asked beside them to find out whether the server is back. Nobody waits for that one, since it takes as long as the trouble does.
 *
 * What is trouble is for the conversation to say. Where only silence is (a question that ran into its deadline), failures that come
 * fast do not open it: they cost nobody time, and may be of one question alone.
 */

export interface CircuitBreakerOptions {
  /**
   * Tells a failure that speaks against the server. Any other says nothing about it, as that of a client that left; what is an
   * answer, as a 404, is to be returned.
   */
  readonly isTrouble: (error: unknown) => boolean
  /** What those get who are not asked for. */
  readonly refuse: () => Error
  /** Troubles without an answer in between that open it. */
  readonly threshold?: number
  /** Milliseconds between two attempts: so long a return goes unnoticed at most. */
  readonly retryMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * `ask` may be called after its caller was refused, and its answer be dropped: it must not end with the caller.
 * @throws what `ask` throws, or what `refuse` makes
 */
export type CircuitBreaker = <Answer>(ask: () => Promise<Answer>) => Promise<Answer>

export const createCircuitBreaker = (options: CircuitBreakerOptions): CircuitBreaker => {
  const { isTrouble, refuse } = options
  const { threshold = 1, retryMs = 1000, now = () => performance.now() } = options
  let answeredAt = -Infinity
  let isOpen = false
  /** Since the last answer. */
  let troubles = 0
  let dueAt = 0
  let isOut = false

  const answered = (): void => {
    answeredAt = now()
    troubles = 0
    isOpen = false
  }

  /** Whether it speaks against the server: not where another question was answered since this one was asked. */
  const tells = (error: unknown, began: number): boolean => isTrouble(error) && answeredAt <= began

  const note = (): void => {
    troubles += 1
    if (isOpen || troubles < threshold) return
    isOpen = true
    dueAt = now() + retryMs
  }

  const askNow = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
    const began = now()
    try {
      const answer = await ask()
      answered()
      return answer
    } catch (error) {
      if (tells(error, began)) note()
      throw error
    }
  }

  const attempt = async (ask: () => Promise<unknown>): Promise<void> => {
    const began = now()
    isOut = true
    try {
      await ask()
      answered()
    } catch (error) {
      if (tells(error, began)) {
        note()
        dueAt = now() + retryMs
        // It answers, if only with errors. The troubles are not forgotten: the next one opens it again.
      } else isOpen = false
    }
    isOut = false
  }

  return async (ask) => {
    if (!isOpen) return await askNow(ask)
    if (!isOut && now() >= dueAt) void attempt(ask)
    throw refuse()
  }
}
