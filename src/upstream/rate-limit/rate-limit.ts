/**
 * Shares out fairly what upstream grants. Each kind of request has a limiter of its own, because quay limits each kind by itself: a loop
 * over tags leaves the manifests alone, and within one kind every requester gets a turn.
 */
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import type { Rate, TokenBucket } from '../../concurrency/token-bucket.ts'
import { UpstreamRateLimited } from '../errors.ts'
import { createLimiter, type Limiter, type Refusal } from './limiter.ts'
import type { Rates } from './quay-limits.ts'
import type { SendUpstream, UpstreamKind, UpstreamRequest, UpstreamResponse } from '../request.ts'

export interface RateLimitOptions {
  /** Undefined for an upstream without known limits. Its 429 is honoured all the same. */
  readonly rates: Rates | undefined
  /** Called for each user's request that is sent: seconds it waited, mostly 0. */
  readonly observeWait: (kind: UpstreamKind, seconds: number) => void
  readonly observeRefused: (kind: UpstreamKind, why: Refusal) => void
  /** Called for each 429 that pauses a kind: seconds by which the pause became longer. */
  readonly observePause: (kind: UpstreamKind, seconds: number) => void
  /** Requests of one kind, of all requesters, that wait at a time: 1024 are some 10 MB of sockets and requests. */
  readonly maxQueued?: number
  /** Requests of one kind that have no head of a response yet. Each kind may have all connections. */
  readonly maxInFlight: number
  /** Counts what is granted: in this process alone, unless given. Its `take` may fail, or succeed, sooner or later than it says. */
  readonly tokenBucket?: ((kind: UpstreamKind, rate: Rate) => TokenBucket) | undefined
  readonly clock?: Clock
}

/**
 * Milliseconds that a request waits for its turns, in sum. Of the 30 s that containerd waits for a head, the decision about access takes
 * up to 4.5 s, retries begin within 8 s, and a response may take 10 s.
 */
const maxWaitMs = 3000
/** No user waits for a background request. */
const maxBackgroundWaitMs = 60_000
/** The most sends of one request that is answered 429 each time. The longest wait usually ends it earlier. */
const maxTries = 3

export const createRateLimit = (options: RateLimitOptions): ((send: SendUpstream) => SendUpstream) => {
  const rateLimit = new RateLimit(options)
  return (send) => async (request) => await rateLimit.run(send, request)
}

class RateLimit {
  readonly #options: RateLimitOptions
  readonly #clock: Clock
  readonly #limiters: Readonly<Record<UpstreamKind, Limiter>>

  constructor(options: RateLimitOptions) {
    const { clock = systemClock } = options
    this.#options = options
    this.#clock = clock
    this.#limiters = {
      manifest: limiterOf('manifest', options, clock),
      blob: limiterOf('blob', options, clock),
      tags: limiterOf('tags', options, clock),
      referrers: limiterOf('referrers', options, clock),
    }
  }

  async run(send: SendUpstream, request: UpstreamRequest): Promise<UpstreamResponse> {
    const { kind, requester, signal, priority } = request
    const isBackground = priority === 'background'
    let waitsSince = this.#clock.now()
    const until = waitsSince + (isBackground ? maxBackgroundWaitMs : maxWaitMs)
    let tries = 0
    for (;;) {
      await this.#limiters[kind].acquire({ requester, until, signal, priority })
      const began = this.#clock.now()
      if (!isBackground) this.#options.observeWait(kind, (began - waitsSince) / 1000)
      try {
        return await this.#sendOnce(send, request, began)
      } catch (error) {
        if (!(error instanceof UpstreamRateLimited)) throw error
        tries += 1
        if (tries === maxTries) throw this.#limiters[kind].refuse('paused')
        waitsSince = this.#clock.now()
      }
    }
  }

  /** Its outcome counts before its permit is released: the next request must see a pause. */
  async #sendOnce(send: SendUpstream, request: UpstreamRequest, began: number): Promise<UpstreamResponse> {
    const { kind, priority } = request
    const limiter = this.#limiters[kind]
    const response = send(request)
    response.then(
      () => limiter.onSuccess(began),
      (error: unknown) => {
        if (!(error instanceof UpstreamRateLimited)) return
        const longerMs = limiter.on429(began, error.retryAfterSeconds)
        if (longerMs > 0) this.#options.observePause(kind, longerMs / 1000)
      },
    )
    try {
      return await response
    } finally {
      limiter.release(priority)
    }
  }
}

const limiterOf = (kind: UpstreamKind, options: RateLimitOptions, clock: Clock): Limiter => {
  const { rates, maxQueued = 1024, maxInFlight, observeRefused, tokenBucket } = options
  const rate = rates?.[kind]
  return createLimiter({
    rate,
    maxInFlight,
    maxQueued,
    // The number of requests that upstream grants to a single requester within the longest wait. Further requests would wait only to be
    // refused.
    maxPerRequester:
      rate === undefined ? maxQueued : Math.min(maxQueued, Math.ceil((rate.perSecond * maxWaitMs) / 1000)),
    clock,
    tokenBucket: tokenBucket && ((given) => tokenBucket(kind, given)),
    observeRefused: (why) => observeRefused(kind, why),
  })
}
