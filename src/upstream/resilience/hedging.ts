/**
 * Hedged requests: a request that has no answer after a few seconds is sent a second time in parallel, and the first answer wins. So a
 * connection that hangs costs a client some seconds, and not its pull: many clients wait no longer than one timeout.
 * @see https://research.google/pubs/the-tail-at-scale/, hedged requests
 */
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import { isRetryable } from '../errors.ts'
import type { Caller } from '../../oci/image-source.ts'

export interface HedgeOptions {
  /** Milliseconds after which the second request is sent. */
  readonly hedgeAfterMs?: number
  /** Second requests at a time: an upstream that is slow for all must not get every request twice. */
  readonly maxAtOnce?: number
  /** Called for each second request. */
  readonly observe?: () => void
  readonly clock?: Clock
}

export interface HedgedRequest<Answer> {
  readonly send: () => Promise<Answer>
  /** Sends the second request, with retries of its own. The signal ends it. */
  readonly hedgedSend: (signal: AbortSignal) => Promise<Answer>
  /** Called with an answer that came second. */
  readonly discard?: ((answer: Answer) => unknown) | undefined
  readonly signal?: AbortSignal | undefined
}

/** @throws the error of the first request, if both have transient errors. A refusal or an absence counts as an answer. */
export type Hedge = <Answer>(request: HedgedRequest<Answer>) => Promise<Answer>

/** Longer than the 3 s for which a request waits for its turn. A second request still ends before containerd's 30 s. */
const defaultHedgeAfterMs = 4000
const defaultMaxAtOnce = 32

export const createHedge = (options: HedgeOptions): Hedge => {
  const {
    hedgeAfterMs = defaultHedgeAfterMs,
    maxAtOnce = defaultMaxAtOnce,
    observe,
    clock = systemClock,
  } = options
  let inFlight = 0
  return async ({ send, hedgedSend, discard, signal }) => {
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
    return await either(first, second, discard, notNeeded)
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
  discard: HedgedRequest<Answer>['discard'],
  notNeeded: AbortController,
): Promise<Answer> => {
  let isTaken = false
  /** Rejects with a transient error: the other request may still succeed. */
  const outcomeOf = async (sent: Promise<Answer>): Promise<() => Answer> => {
    const take = () => {
      isTaken = true
      if (sent === first) notNeeded.abort()
    }
    try {
      const answer = await sent
      if (isTaken) discard?.(answer)
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

/** `send` with a hedge, until the caller's signal is aborted. */
export const hedged =
  <Request extends Pick<Caller, 'signal' | 'priority'>, Answer>(
    hedge: Hedge,
    send: (request: Request) => Promise<Answer>,
    hedgedSend: (request: Request) => Promise<Answer> = send,
    discard?: HedgedRequest<Answer>['discard'],
  ) =>
  async (request: Request): Promise<Answer> => {
    // No user waits for it, so a late answer does no harm.
    if (request.priority === 'background') return await send(request)
    return await hedge({
      send: async () => await send(request),
      hedgedSend: async (signal) => await hedgedSend({ ...request, signal }),
      discard,
      signal: request.signal,
    })
  }
