/**
 * Retries transient errors of upstream, so that clients do not see them: 5xx, a broken connection, a server that is down. A refusal, an
 * absence and a rate limit are answers and are not retried here; `rate-limit.ts` sends again after a 429.
 */
import { onAbort } from '../../concurrency/abortable.ts'
import { backoffMs, jittered } from '../../concurrency/backoff.ts'
import { Bulkhead } from '../../concurrency/bulkhead.ts'
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import { UpstreamRateLimited, UpstreamTimeout, TransientUpstreamError } from '../errors.ts'

export interface RetryOptions {
  /** The request was not sent because the circuit is open. That is not counted as a try: the retry waits until the circuit closes. */
  readonly isCircuitOpen?: (error: TransientUpstreamError) => boolean
  /** Requests that wait for the circuit to close at a time, shared out by requester. Those over the limit fail at once. */
  readonly maxWaiting?: number
  /** Milliseconds after the first try in which a further one may begin. */
  readonly maxElapsedMs?: number
  /** Called for each try after the first. */
  readonly observeRetry?: () => void
  readonly clock?: Clock
  /** From 0 to below 1. */
  readonly random?: () => number
}

/** Runs `attempt` until it succeeds. It must be safe to repeat. @throws the error of the last try */
export type Retry = <Answer>(
  attempt: () => Promise<Answer>,
  signal?: AbortSignal,
  requester?: string,
) => Promise<Answer>

/**
 * A part of the 30 s that containerd waits for a head, so that a last try that begins at the end still has time to connect and to be
 * answered.
 */
const defaultMaxElapsedMs = 8000
/** The first pause is up to 50 ms, and each one up to twice the one before: ten tries in 8 s if each fails at once. */
const backoff = { firstMs: 50, longestMs: 2000 }
/** Milliseconds between two looks at an open circuit, at most. Its probes are a second apart. */
const openPauseMs = 500
/**
 * A quarter of the requests that may be in progress: cached answers are served meanwhile. A client that leaves is not in progress any more,
 * but its fetch lives on for 8 s.
 */
const defaultMaxWaiting = 1024
/** One timeout takes most of the time that a client waits. */
const maxTimeouts = 2

export const createRetry = (options: RetryOptions = {}): Retry => {
  const { isCircuitOpen = () => false, maxElapsedMs = defaultMaxElapsedMs, clock = systemClock } = options
  const { random = Math.random } = options
  const wait = createWait(options)
  return async (attempt, signal, requester = '') => {
    const began = clock.now()
    let timeouts = 0
    let tries = 0
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!isWorthRetrying(error)) throw error
        if (error instanceof UpstreamTimeout) timeouts += 1
        const wasSent = !isCircuitOpen(error)
        if (wasSent) tries += 1
        const pauseMs = wasSent ? backoffMs(tries - 1, backoff, random) : jittered(openPauseMs, random)
        const isOver = clock.now() + pauseMs - began >= maxElapsedMs
        if (timeouts === maxTimeouts || isOver) throw error
        await wait({ error, wasSent, pauseMs, signal, requester })
      }
    }
  }
}

interface FailedTry {
  readonly error: TransientUpstreamError
  /** False if the circuit was open. */
  readonly wasSent: boolean
  readonly pauseMs: number
  readonly signal: AbortSignal | undefined
  readonly requester: string
}

/** Waits until the next try. It throws the error of the failed try if there must be no further one. */
const createWait = ({ maxWaiting = defaultMaxWaiting, observeRetry, clock = systemClock }: RetryOptions) => {
  const waiting = new Bulkhead(maxWaiting)
  return async ({ error, wasSent, pauseMs, signal, requester }: FailedTry): Promise<void> => {
    if (!wasSent && !waiting.take(requester)) throw error
    await pause(pauseMs, clock, signal)
    if (!wasSent) waiting.giveBack(requester)
    if (signal?.aborted === true) throw error
    if (wasSent) observeRetry?.()
  }
}

const isWorthRetrying = (error: unknown): error is TransientUpstreamError =>
  error instanceof TransientUpstreamError && !(error instanceof UpstreamRateLimited)

/** Ends early if the signal is aborted. */
const pause = async (ms: number, clock: Clock, signal: AbortSignal | undefined): Promise<void> => {
  if (signal?.aborted === true) return
  const over = Promise.withResolvers<void>()
  const stop = clock.after(ms, over.resolve)
  using _listener = onAbort(signal, over.resolve)
  await over.promise
  stop()
}

/** `send` with retries, until the caller's signal is aborted. */
export const retried =
  <Request extends { readonly requester: string; readonly signal?: AbortSignal | undefined }, Answer>(
    retry: Retry,
    send: (request: Request) => Promise<Answer>,
  ) =>
  async (request: Request): Promise<Answer> =>
    await retry(async () => await send(request), request.signal, request.requester)
