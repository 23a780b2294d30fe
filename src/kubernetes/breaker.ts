/**
 * A server that hangs is not waited for by everybody: once a question ran into its deadline while nothing else was answered,
 * questions fail at once, but for a single one at a time that finds out whether the server is back.
 *
 * Failures that come fast (a refused connection, a 500) do not open it: they cost nobody time, and may be of one question alone.
 */

export interface BreakerOptions {
  /** Tells a failure that took the whole of its time. */
  readonly isTimeout: (error: unknown) => boolean
  /** What those get who are not asked for. */
  readonly refuse: () => Error
  /** Milliseconds between two attempts: so long a return goes unnoticed at most. */
  readonly retryMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** @throws what `ask` throws, or what `refuse` makes */
export type Breaker = <Answer>(ask: () => Promise<Answer>) => Promise<Answer>

export const createBreaker = (options: BreakerOptions): Breaker => {
  const { isTimeout, refuse, retryMs = 1000, now = () => performance.now() } = options
  let answeredAt = -Infinity
  /** Undefined while it is closed. */
  let nextAttemptAt: number | undefined

  return async (ask) => {
    const began = now()
    if (nextAttemptAt !== undefined) {
      if (began < nextAttemptAt) throw refuse()
      // Until this one is through, everybody else goes on failing at once.
      nextAttemptAt = Infinity
    }
    try {
      const answer = await ask()
      answeredAt = now()
      nextAttemptAt = undefined
      return answer
    } catch (error) {
      const isSilent = isTimeout(error) && answeredAt <= began
      if (isSilent || nextAttemptAt === Infinity) nextAttemptAt = isSilent ? now() + retryMs : undefined
      throw error
    }
  }
}
