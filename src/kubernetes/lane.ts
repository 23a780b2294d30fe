/**
 * A bound on the questions of one kind that are in flight at a time. Whoever comes beyond it waits for a moment in a short queue,
 * and is sent away before anything was done for them where that is full too.
 *
 * Each kind has a lane of its own: a crowd of unknown tokens fills the one of TokenReviews, and keeps nobody waiting whose token
 * is known and who is asked about in a SubjectAccessReview. Within a lane, those who are known go ahead of those who are not.
 */
import { unavailable } from '../errors.ts'

export interface LaneOptions {
  /** Questions in flight at a time. */
  readonly max: number
  /** Bound on those who wait, for those who go ahead and for the others each. */
  readonly maxQueued: number
  /** Milliseconds to wait at most. Together with a slow answer it stays below what a client waits for a decision. */
  readonly maxWaitMs: number
  /** Called with +1 when a question goes out and -1 when it is answered, or has failed. */
  readonly observeInFlight: (change: 1 | -1) => void
  /** Called for each question that was not asked. */
  readonly observeShed: () => void
}

/** @throws {RegistryError} UNAVAILABLE where it was not asked at all, or what `ask` throws */
export type Lane = <Answer>(ask: () => Promise<Answer>, isAhead?: boolean) => Promise<Answer>

const retryAfterSeconds = 1

export const createLane = (options: LaneOptions): Lane => {
  const { max, observeInFlight } = options
  const [ahead, others] = [createQueue(options), createQueue(options)]
  let inFlight = 0

  /** The place is handed on, and is not free in between: nobody can slip in beyond the bound. */
  const leave = (): void => {
    observeInFlight(-1)
    if (!ahead.next() && !others.next()) inFlight -= 1
  }

  return async (ask, isAhead = false) => {
    if (inFlight < max) inFlight += 1
    else await (isAhead ? ahead : others).wait()
    observeInFlight(1)
    try {
      return await ask()
    } finally {
      leave()
    }
  }
}

const createQueue = ({ maxQueued, maxWaitMs, observeShed }: LaneOptions) => {
  const waiting = new Set<() => void>()
  const shed = () => {
    observeShed()
    return unavailable(
      'too many questions about access at once; try again in a moment',
      undefined,
      retryAfterSeconds,
    )
  }
  return {
    wait: async (): Promise<void> => {
      if (waiting.size >= maxQueued) throw shed()
      const turn = Promise.withResolvers<void>()
      const timer = setTimeout(() => {
        waiting.delete(turn.resolve)
        turn.reject(shed())
      }, maxWaitMs)
      waiting.add(turn.resolve)
      await turn.promise
      clearTimeout(timer)
    },
    /** Lets the first one go; false where nobody waits. */
    next: (): boolean => {
      const [first] = waiting
      if (first === undefined) return false
      waiting.delete(first)
      first()
      return true
    },
  }
}
