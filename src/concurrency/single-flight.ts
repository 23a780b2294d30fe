/**
 * Single-flight: one load per key at a time, however many callers want it. The load belongs to none of them: a caller that leaves is
 * released, and the load goes on for the others and for later ones.
 */
import { onAbort } from './abortable.ts'
import { TurnQueue } from './turn-queue.ts'

export interface SingleFlightOptions {
  /** Whether an error concerns one requester alone, such as their rate limit, so that another requester may try again. None unless given. */
  readonly isOfRequester?: (error: unknown) => boolean
  /** The error of a caller whose signal is aborted; the reason of the signal unless given. @param reason of the signal */
  readonly callerGone?: (reason: unknown) => unknown
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export interface SingleFlightRequest<Answer> {
  readonly key: string
  /** The load counts against the limits of the requester that started it. */
  readonly requester?: string | undefined
  /** It needs a deadline of its own: it does not end with the caller. */
  readonly load: () => Promise<Answer>
  /** The caller's own: aborted when the caller leaves. */
  readonly signal?: AbortSignal | undefined
  readonly fallback?: Fallback<Answer> | undefined
}

/** An answer to use if the load fails, or takes too long. */
export interface Fallback<Answer> {
  readonly answer: Answer
  readonly appliesTo: (error: unknown) => boolean
  /** Milliseconds since the load started, also if another caller started it: only the first callers wait for a load that hangs. */
  readonly maxWaitMs: number
}

export interface Shared<Answer> {
  readonly answer: Answer
  /** `live`: this caller started the load. `shared`: another caller did. `stale`: the fallback. */
  readonly source: 'live' | 'shared' | 'stale'
}

/** @throws what `load` throws; what `callerGone` makes as soon as the signal is aborted */
export type SingleFlight<Answer> = (request: SingleFlightRequest<Answer>) => Promise<Shared<Answer>>

interface InFlight<Answer> {
  readonly answer: Promise<Answer>
  readonly requester: string | undefined
  readonly startedAt: number
}

/** How often a caller starts over after the rate limit of another requester. After that the error is the caller's, too. */
const maxRounds = 3

/**
 * Callers of another's load that go on in one turn of the event loop. Attack: thousands of connections that wait for one load, and all
 * answer their requests at the moment of its end.
 */
const maxPerTurn = 32

const itself = (reason: unknown): unknown => reason

export const createSingleFlight = <Answer>(options: SingleFlightOptions = {}): SingleFlight<Answer> => {
  const { isOfRequester, callerGone = itself, now = () => performance.now() } = options
  const loads = new Map<string, InFlight<Answer>>()
  const turns = new TurnQueue(maxPerTurn)
  const start = ({ key, requester, load }: SingleFlightRequest<Answer>): InFlight<Answer> => {
    const inFlight = { answer: load(), requester, startedAt: now() }
    loads.set(key, inFlight)
    const over = () => void loads.delete(key)
    // All callers may have left. An unhandled rejection would end the process.
    inFlight.answer.then(over, over)
    return inFlight
  }
  return async (request) => {
    const { key, requester, signal, fallback } = request
    for (let round = 1; ; round++) {
      if (signal?.aborted === true) throw callerGone(signal.reason)
      const running = loads.get(key)
      const inFlight = running ?? start(request)
      const source = running === undefined ? 'live' : 'shared'
      const answered = inFlight.answer.then((answer): Shared<Answer> => ({ answer, source }))
      try {
        const shared = await race(answered, request, inFlight.startedAt - now(), callerGone)
        if (shared.source === 'shared') await turns.turn(requester ?? '')
        return shared
      } catch (error) {
        // Attack: a requester over their rate limit would make the same request fail for everybody else.
        if (isOfRequester?.(error) === true && inFlight.requester !== requester && round < maxRounds) continue
        if (fallback?.appliesTo(error) === true) return { answer: fallback.answer, source: 'stale' }
        throw error
      }
    }
  }
}

/** @param sinceStartMs milliseconds from now back to the start of the load: 0 or less */
const race = async <Answer>(
  answered: Promise<Shared<Answer>>,
  { signal, fallback }: SingleFlightRequest<Answer>,
  sinceStartMs: number,
  callerGone: (reason: unknown) => unknown,
): Promise<Shared<Answer>> => {
  const { promise, resolve, reject } = Promise.withResolvers<Shared<Answer>>()
  answered.then(resolve, reject)
  using _listener = onAbort(signal, () => reject(callerGone(signal?.reason)))
  const timer =
    fallback &&
    setTimeout(
      () => resolve({ answer: fallback.answer, source: 'stale' }),
      Math.max(sinceStartMs + fallback.maxWaitMs, 0),
    )
  try {
    return await promise
  } finally {
    clearTimeout(timer)
  }
}
