/**
 * What may be asked of upstream, shared out fairly. Each kind of request has a way of its own, as each has a limit of its own at
 * quay: a loop over tags leaves the manifests alone, and within one kind every requester gets a turn.
 */
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import type { Rate, TokenBucket } from '../../concurrency/token-bucket.ts'
import { UpstreamRateLimited } from '../errors.ts'
import { createLimiter, type Limiter, type Refusal } from './limiter.ts'
import type { Rates } from './quay-limits.ts'
import type { SendUpstream, UpstreamKind, UpstreamRequest, UpstreamResponse } from '../request.ts'

export interface RateLimitOptions {
  /** Undefined for an upstream without limits of its own; its 429 is honoured all the same. */
  readonly rates: Rates | undefined
  /** Called for each request that is let through and that somebody waits for: seconds it waited, mostly 0. */
  readonly observeWait: (kind: UpstreamKind, seconds: number) => void
  readonly observeRefused: (kind: UpstreamKind, why: Refusal) => void
  /** Called for each 429 that pauses a kind: seconds by which it is paused for longer. */
  readonly observePause: (kind: UpstreamKind, seconds: number) => void
  /** Requests of one kind, of all requesters, that wait at a time: some 10 MB of sockets and requests. */
  readonly maxQueued?: number
  /** Requests of one kind without a head of an answer; each kind may have all connections. */
  readonly maxInFlight: number
  /** Counts what is granted: in this process alone, unless given. Its `take` may be refused sooner and later than it says. */
  readonly tokenBucket?: ((kind: UpstreamKind, rate: Rate) => TokenBucket) | undefined
  readonly clock?: Clock
}

/**
 * Milliseconds that a request waits for its turns, all in all. Of the 30 s that containerd waits for a head, the decision about
 * access takes up to 4.5 s, retries begin within 8 s, and an answer may take 10 s.
 */
const maxWaitMs = 3000
/** Nobody waits for what is asked in the background. */
const maxBackgroundWaitMs = 60_000
/** Requests for the same thing: 429 each time, and a pause before the next one. */
const maxTries = 3

export const createRateLimit = (options: RateLimitOptions): ((send: SendUpstream) => SendUpstream) => {
  const { clock = systemClock, observeWait, observePause } = options
  const gates: Readonly<Record<UpstreamKind, Limiter>> = {
    manifest: gateOf('manifest', options, clock),
    blob: gateOf('blob', options, clock),
    tags: gateOf('tags', options, clock),
    referrers: gateOf('referrers', options, clock),
  }

  /** One request that may go. What it meets counts before its place is free. */
  const once = async (send: SendUpstream, request: UpstreamRequest): Promise<UpstreamResponse> => {
    const { kind, priority } = request
    const began = clock.now()
    const met = (error: unknown): void => {
      if (!(error instanceof UpstreamRateLimited)) return
      const longerMs = gates[kind].on429(began, error.retryAfterSeconds)
      if (longerMs > 0) observePause(kind, longerMs / 1000)
    }
    const answer = send(request)
    answer.then(() => gates[kind].onSuccess(began), met)
    try {
      return await answer
    } finally {
      gates[kind].release(priority)
    }
  }

  return (send) => async (request) => {
    const { kind, requester, signal, priority } = request
    const isBackground = priority === 'background'
    const until = clock.now() + (isBackground ? maxBackgroundWaitMs : maxWaitMs)
    let tries = 0
    for (;;) {
      const came = clock.now()
      await gates[kind].acquire({ requester, until, signal, priority })
      if (!isBackground) observeWait(kind, (clock.now() - came) / 1000)
      try {
        return await once(send, request)
      } catch (error) {
        if (!(error instanceof UpstreamRateLimited)) throw error
        tries += 1
        if (tries === maxTries) throw gates[kind].refuse('paused')
      }
    }
  }
}

const gateOf = (kind: UpstreamKind, options: RateLimitOptions, clock: Clock): Limiter => {
  const { rates, maxQueued = 1024, maxInFlight, observeRefused, tokenBucket } = options
  const rate = rates?.[kind]
  return createLimiter({
    rate,
    maxInFlight,
    maxQueued,
    // What is granted within the longest wait to a requester who is alone: more would only wait to be refused.
    maxPerRequester:
      rate === undefined ? maxQueued : Math.min(maxQueued, Math.ceil((rate.perSecond * maxWaitMs) / 1000)),
    clock,
    tokenBucket: tokenBucket && ((given) => tokenBucket(kind, given)),
    observeRefused: (why) => observeRefused(kind, why),
  })
}
