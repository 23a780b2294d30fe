/**
 * One question in flight per key, however many ask it. It belongs to none of them: who leaves is let go, and the question goes on
 * for the others and for those to come.
 */
import { unavailable } from '../../errors.ts'
import { UpstreamLimit } from '../failures.ts'

export interface Question<Answer> {
  readonly key: string
  /** Who is charged for it, where nobody has asked yet. */
  readonly asker: string
  /** Asks upstream; has a deadline of its own. */
  readonly ask: () => Promise<Answer>
  /** The asker's own: aborted when they leave. */
  readonly signal?: AbortSignal | undefined
  readonly instead?: Instead<Answer> | undefined
}

/** What the asker takes for an answer where there is none, or none in time. */
export interface Instead<Answer> {
  readonly answer: Answer
  readonly covers: (error: unknown) => boolean
  /** Milliseconds since the question went out, be it from another: of a question that hangs only the first askers wait at all. */
  readonly patienceMs: number
}

export interface Answered<Answer> {
  readonly answer: Answer
  /** This asker's own question went out, or another's was joined, or neither had an answer. */
  readonly source: 'asked' | 'joined' | 'instead'
}

/** @throws what `ask` ends with; {RegistryError} UNAVAILABLE as soon as the asker has left, to whom it says nothing any more */
export type Share<Answer> = (question: Question<Answer>) => Promise<Answered<Answer>>

interface InFlight<Answer> {
  readonly answer: Promise<Answer>
  readonly asker: string
  readonly startedAt: number
}

/** How often an asker tries again after a limit that another asker ran into, before the limit is theirs too. */
const maxRounds = 3

/** @param now milliseconds, monotonic */
export const createShare = <Answer>(now: () => number): Share<Answer> => {
  const questions = new Map<string, InFlight<Answer>>()
  const start = ({ key, asker, ask }: Question<Answer>): InFlight<Answer> => {
    const question = { answer: ask(), asker, startedAt: now() }
    questions.set(key, question)
    const over = () => void questions.delete(key)
    // All who asked may have left: a failure that nobody hears of must not end the process.
    question.answer.then(over, over)
    return question
  }
  return async (question) => {
    const { key, asker, signal, instead } = question
    for (let round = 1; ; round++) {
      if (signal?.aborted === true) throw left(signal)
      const joined = questions.get(key)
      const inFlight = joined ?? start(question)
      const source = joined === undefined ? 'asked' : 'joined'
      const answered = inFlight.answer.then((answer): Answered<Answer> => ({ answer, source }))
      try {
        return await race(answered, question, inFlight.startedAt - now())
      } catch (error) {
        // Attack: who asks more than upstream grants would be refused what others want as well, and keep it from them.
        if (error instanceof UpstreamLimit && inFlight.asker !== asker && round < maxRounds) continue
        if (instead?.covers(error) === true) return { answer: instead.answer, source: 'instead' }
        throw error
      }
    }
  }
}

/** @param untilAskedMs milliseconds; 0 or less, since the question is out */
const race = async <Answer>(
  answered: Promise<Answered<Answer>>,
  { signal, instead }: Question<Answer>,
  untilAskedMs: number,
): Promise<Answered<Answer>> => {
  const { promise, resolve, reject } = Promise.withResolvers<Answered<Answer>>()
  answered.then(resolve, reject)
  const leave = () => reject(left(signal))
  signal?.addEventListener('abort', leave)
  const timer =
    instead &&
    setTimeout(
      () => resolve({ answer: instead.answer, source: 'instead' }),
      Math.max(untilAskedMs + instead.patienceMs, 0),
    )
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', leave)
  }
}

const left = (signal: AbortSignal | undefined) =>
  unavailable('the client did not wait for the answer', signal?.reason)
