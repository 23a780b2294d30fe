/**
 * A bad moment of upstream is tried again, and passes unnoticed: 5xx, a connection that breaks, a server that is not there. A
 * refusal, an absence and a limit are answers.
 */
import { backoffMs, jittered } from '../../concurrency/backoff.ts'
import { Bulkhead } from '../../concurrency/bulkhead.ts'
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import { UpstreamRateLimited, UpstreamTimeout, TransientUpstreamError } from '../errors.ts'

export interface RetryOptions {
  /** Upstream was not asked, because it is away: not counted as a try; its return is waited for. */
  readonly isCircuitOpen?: (error: TransientUpstreamError) => boolean
  /** Requests that wait for upstream's return at a time, shared out by requester; those beyond are told at once. */
  readonly maxWaiting?: number
  /** Milliseconds after the first try in which a further one may begin. */
  readonly maxElapsedMs?: number
  /** Called for each try after the first. */
  readonly observeRetry?: () => void
  readonly clock?: Clock
  /** From 0 to below 1. */
  readonly random?: () => number
}

/** Tries something that may be tried again without harm. @throws what the last try throws */
export type Retry = <Answer>(
  attempt: () => Promise<Answer>,
  signal?: AbortSignal,
  requester?: string,
) => Promise<Answer>

/** Of the 30 s that containerd waits for a head; a last try that begins then has time to connect and to be answered. */
const defaultWithinMs = 8000
/** The pause before the second try is up to this long, and up to twice as long each time: ten tries in 8 s, of what fails at once. */
const backoff = { firstMs: 50, longestMs: 2000 }
/** Between two looks whether upstream is back, up to: it is noticed to be within a second. */
const awayPauseMs = 500
/**
 * A quarter of the requests that may be in progress: what is known is served meanwhile. Clients that leave are not in progress any
 * more, though their questions live on for 8 s.
 */
const defaultMaxWaiting = 1024
/** One that runs out of time has taken most of a client's patience. */
const maxTimeouts = 2

export const createRetry = (options: RetryOptions = {}): Retry => {
  const { isCircuitOpen = () => false, maxElapsedMs = defaultWithinMs, observeRetry } = options
  const { maxWaiting = defaultMaxWaiting } = options
  const { clock = systemClock, random = Math.random } = options

  const waiting = new Bulkhead(maxWaiting)
  /** @throws what the last try ended with, where no further one is to follow */
  const untilNext = async (
    error: TransientUpstreamError,
    wasAsked: boolean,
    ms: number,
    signal: AbortSignal | undefined,
    requester: string,
  ): Promise<void> => {
    if (!wasAsked && !waiting.take(requester)) throw error
    await pause(ms, clock, signal)
    if (!wasAsked) waiting.giveBack(requester)
    if (signal?.aborted === true) throw error
    if (wasAsked) observeRetry?.()
  }

  const isWorthRetrying = (error: unknown): error is TransientUpstreamError =>
    error instanceof TransientUpstreamError && !(error instanceof UpstreamRateLimited)

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
        const wasAsked = !isCircuitOpen(error)
        if (wasAsked) tries += 1
        const pauseMs = wasAsked ? backoffMs(tries - 1, backoff, random) : jittered(awayPauseMs, random)
        const isOver = clock.now() + pauseMs - began >= maxElapsedMs
        if (timeouts === maxTimeouts || isOver) throw error
        await untilNext(error, wasAsked, pauseMs, signal, requester)
      }
    }
  }
}

/** Ends early where the signal is aborted. */
const pause = async (ms: number, clock: Clock, signal: AbortSignal | undefined): Promise<void> => {
  if (signal?.aborted === true) return
  const over = Promise.withResolvers<void>()
  const stop = clock.after(ms, over.resolve)
  const leave = () => over.resolve()
  signal?.addEventListener('abort', leave)
  await over.promise
  signal?.removeEventListener('abort', leave)
  stop()
}

/** The same, of a question that whoever waits for it may abandon. */
export const retried =
  <Request extends { readonly requester: string; readonly signal?: AbortSignal | undefined }, Answer>(
    retry: Retry,
    send: (request: Request) => Promise<Answer>,
  ) =>
  async (request: Request): Promise<Answer> =>
    await retry(async () => await send(request), request.signal, request.requester)
