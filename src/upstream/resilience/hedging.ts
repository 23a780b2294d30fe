/**
 * A question without an answer, when others would long have one, is asked a second time beside the first, and the answer that comes
 * first is taken. A connection that hangs costs whoever waits some seconds, and not their pull: all their patience may be one timeout.
 * @see https://research.google/pubs/the-tail-at-scale/, hedged requests
 */
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import { isRetryable } from '../errors.ts'
import type { Caller } from '../request.ts'

export interface HedgeOptions {
  /** Milliseconds after which an answer is late. */
  readonly hedgeAfterMs?: number
  /** Second questions at a time: an upstream that is slow for all is not to be asked everything twice. */
  readonly maxAtOnce?: number
  /** Called for each second question. */
  readonly observe?: () => void
  readonly clock?: Clock
}

export interface Question<Answer> {
  readonly send: () => Promise<Answer>
  /** What is asked beside it: the same, and again where that fails, since nobody else will. The signal ends it. */
  readonly hedgedSend: (signal: AbortSignal) => Promise<Answer>
  /** What to do with an answer that came second. */
  readonly drop?: ((answer: Answer) => unknown) | undefined
  readonly signal?: AbortSignal | undefined
}

/** @throws what the first question ends with, if both have trouble; a refusal or an absence counts as an answer */
export type Hedge = <Answer>(question: Question<Answer>) => Promise<Answer>

/** Longer than the 3 s for which a request waits for its turn; what is begun then is over before containerd's 30 s. */
const defaultLateMs = 4000
const defaultMaxAtOnce = 32

export const createHedge = (options: HedgeOptions): Hedge => {
  const { hedgeAfterMs = defaultLateMs, maxAtOnce = defaultMaxAtOnce, observe, clock = systemClock } = options
  let inFlight = 0
  return async ({ send, hedgedSend, drop, signal }) => {
    const first = send()
    const isLate = await isLateAfter(first, hedgeAfterMs, clock)
    if (!isLate || inFlight >= maxAtOnce || signal?.aborted === true) return await first
    inFlight += 1
    observe?.()
    const notNeeded = new AbortController()
    const second = hedgedSend(
      signal === undefined ? notNeeded.signal : AbortSignal.any([signal, notNeeded.signal]),
    ).finally(() => {
      inFlight -= 1
    })
    return await either(first, second, drop, notNeeded)
  }
}

const isLateAfter = async (answer: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const stop = clock.after(ms, () => resolve(true))
  const inTime = () => resolve(false)
  answer.then(inTime, inTime)
  const isLate = await promise
  stop()
  return isLate
}

const either = async <Answer>(
  first: Promise<Answer>,
  second: Promise<Answer>,
  drop: Question<Answer>['drop'],
  notNeeded: AbortController,
): Promise<Answer> => {
  let isTaken = false
  /** Rejects with what is no answer: the other one may have one. */
  const outcomeOf = async (asked: Promise<Answer>): Promise<() => Answer> => {
    const take = () => {
      isTaken = true
      if (asked === first) notNeeded.abort()
    }
    try {
      const answer = await asked
      if (isTaken) drop?.(answer)
      else take()
      return () => answer
    } catch (error) {
      if (isRetryable(error)) throw error
      if (!isTaken) take()
      return () => {
        throw error
      }
    }
  }
  const none = ({ errors: [error] }: AggregateError): never => {
    throw error
  }
  const outcome = await Promise.any([outcomeOf(first), outcomeOf(second)]).catch(none)
  return outcome()
}

/** The same, of a question that whoever waits for it may abandon. */
export const hedged =
  <Request extends Pick<Caller, 'signal' | 'priority'>, Answer>(
    hedge: Hedge,
    send: (request: Request) => Promise<Answer>,
    hedgedSend: (request: Request) => Promise<Answer> = send,
    drop?: Question<Answer>['drop'],
  ) =>
  async (request: Request): Promise<Answer> => {
    // Nobody waits for it: that it is late costs nobody anything.
    if (request.priority === 'background') return await send(request)
    return await hedge({
      send: async () => await send(request),
      hedgedSend: async (signal) => await hedgedSend({ ...request, signal }),
      drop,
      signal: request.signal,
    })
  }
