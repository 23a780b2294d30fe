/**
 * Single-flight: one load per key at a time, however many callers want it. It belongs to none of them. A caller that leaves is released,
 * and the load goes on for the others and for those to come.
 */
import { onAbort } from './abortable.ts'

export interface SingleFlightOptions {
  /** Whether a failure is of the requester alone, such as a rate limit of theirs, so that another one may try again. */
  readonly isOfRequester: (error: unknown) => boolean
  /** What a requester gets whose signal was aborted. @param reason of the signal */
  readonly callerGone: (reason: unknown) => Error
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

export interface SingleFlightRequest<Answer> {
  readonly key: string
  /** Who is charged for it, where nobody has asked yet. */
  readonly requester: string
  /** Has a deadline of its own: it does not end with the caller. */
  readonly load: () => Promise<Answer>
  /** The requester's own: aborted when they leave. */
  readonly signal?: AbortSignal | undefined
  readonly fallback?: Fallback<Answer> | undefined
}

/** What the requester takes for an answer where there is none, or none in time. */
export interface Fallback<Answer> {
  readonly answer: Answer
  readonly appliesTo: (error: unknown) => boolean
  /** Milliseconds since the question went out, be it from another: of a question that hangs only the first requesters wait at all. */
  readonly maxWaitMs: number
}

export interface Shared<Answer> {
  readonly answer: Answer
  /** This requester's own question went out, or another's was joined, or neither had an answer. */
  readonly source: 'live' | 'shared' | 'stale'
}

/** @throws what `load` throws; what `callerGone` makes as soon as the signal is aborted */
export type SingleFlight<Answer> = (question: SingleFlightRequest<Answer>) => Promise<Shared<Answer>>

interface InFlight<Answer> {
  readonly answer: Promise<Answer>
  readonly requester: string
  readonly startedAt: number
}

/** How often a requester tries again after a limit that another requester ran into, before the limit is theirs too. */
const maxRounds = 3

export const createSingleFlight = <Answer>(options: SingleFlightOptions): SingleFlight<Answer> => {
  const { isOfRequester, callerGone, now } = options
  const questions = new Map<string, InFlight<Answer>>()
  const start = ({ key, requester, load }: SingleFlightRequest<Answer>): InFlight<Answer> => {
    const question = { answer: load(), requester, startedAt: now() }
    questions.set(key, question)
    const over = () => void questions.delete(key)
    // All who asked may have left: a failure that nobody hears of must not end the process.
    question.answer.then(over, over)
    return question
  }
  return async (question) => {
    const { key, requester, signal, fallback } = question
    for (let round = 1; ; round++) {
      if (signal?.aborted === true) throw callerGone(signal.reason)
      const joined = questions.get(key)
      const inFlight = joined ?? start(question)
      const source = joined === undefined ? 'live' : 'shared'
      const answered = inFlight.answer.then((answer): Shared<Answer> => ({ answer, source }))
      try {
        return await race(answered, question, inFlight.startedAt - now(), callerGone)
      } catch (error) {
        // Attack: who asks more than upstream grants would be refused what others want as well, and keep it from them.
        if (isOfRequester(error) && inFlight.requester !== requester && round < maxRounds) continue
        if (fallback?.appliesTo(error) === true) return { answer: fallback.answer, source: 'stale' }
        throw error
      }
    }
  }
}

/** @param untilAskedMs milliseconds; 0 or less, since the question is out */
const race = async <Answer>(
  answered: Promise<Shared<Answer>>,
  { signal, fallback }: SingleFlightRequest<Answer>,
  untilAskedMs: number,
  callerGone: SingleFlightOptions['callerGone'],
): Promise<Shared<Answer>> => {
  const { promise, resolve, reject } = Promise.withResolvers<Shared<Answer>>()
  answered.then(resolve, reject)
  using _listener = onAbort(signal, () => reject(callerGone(signal?.reason)))
  const timer =
    fallback &&
    setTimeout(
      () => resolve({ answer: fallback.answer, source: 'stale' }),
      Math.max(untilAskedMs + fallback.maxWaitMs, 0),
    )
  try {
    return await promise
  } finally {
    clearTimeout(timer)
  }
}
