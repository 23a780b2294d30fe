/**
 * The limiter for requests of one kind: so many at a time, so many a second, and none during the pause after a 429. Other requests wait for
 * their turn, within bounds.
 */
import { Background } from './background.ts'
import type { Clock } from '../../concurrency/clock.ts'
import {
  createFairQueue,
  type FairQueue,
  type Rejection,
  type Waiting,
} from '../../concurrency/fair-queue.ts'
import { createTokenBucket, type Rate, type TokenBucket } from '../../concurrency/token-bucket.ts'
import { toRegistryError, UpstreamRateLimited } from '../errors.ts'
import { createPause, type Pause } from './pause-after-429.ts'
import type { UpstreamRate } from './quay-limits.ts'
import type { Caller } from '../../oci/image-source.ts'

export type Refusal = Rejection | 'paused'

type Priority = Caller['priority']

/** `background`: sent after all others, for which a part of the burst is reserved; but with a bound on its wait. */
export type LimitedRequest = Waiting & Pick<Caller, 'priority'>

export interface LimiterOptions {
  /** Undefined: no limit per second. */
  readonly rate: UpstreamRate | undefined
  /** Requests that have no head of a response yet. */
  readonly maxInFlight: number
  readonly maxPerRequester: number
  readonly maxQueued: number
  readonly clock: Clock
  /** Counts in this process alone, unless given. */
  readonly tokenBucket?: ((rate: Rate) => TokenBucket) | undefined
  readonly observeRefused: (why: Refusal) => void
}

export interface Limiter {
  /** Resolves when the request may be sent. It must call `release` once. @throws {TransientUpstreamError} */
  readonly acquire: (request: LimitedRequest) => Promise<void>
  readonly release: (priority?: Priority) => void
  /** Upstream answered 429 to a request that was sent at `began`. @returns milliseconds by which that extends the pause */
  readonly on429: (began: number, retryAfterSeconds: number | undefined) => number
  readonly onSuccess: (began: number) => void
  /** Makes the error of a request that is not sent. */
  readonly refuse: (why: Refusal) => UpstreamRateLimited
}

/** Milliseconds for which a limit applies after a 429: upstream may limit in busy hours only. */
const appliesForMs = 600_000
/** Milliseconds between two checks whether a waiting request may be sent. */
const shortestLookMs = 20
const longestLookMs = 250

export const createLimiter = (options: LimiterOptions): Limiter => new KindLimiter(options)

class KindLimiter implements Limiter {
  readonly #options: LimiterOptions
  readonly #tokens: TokenBucket | undefined
  readonly #pause: Pause
  readonly #queue: FairQueue
  readonly #background: Background
  readonly #backgroundQueue: FairQueue
  #limitedAt = -Infinity
  #inFlight = 0
  #nextLook: { readonly at: number; readonly stop: () => void } | undefined

  constructor(options: LimiterOptions) {
    const { rate, maxQueued, maxInFlight, clock } = options
    const { tokenBucket = (given) => createTokenBucket(given, clock.now) } = options
    this.#options = options
    this.#tokens = rate === undefined ? undefined : tokenBucket(rate)
    this.#pause = createPause(clock.now)
    const refuse = (why: Refusal) => this.refuse(why)
    this.#queue = createFairQueue({ ...options, refuse })
    this.#background = new Background({ rate, maxInFlight, now: clock.now })
    this.#backgroundQueue = createFairQueue({ maxPerRequester: maxQueued, maxQueued, clock, refuse })
  }

  async acquire(request: LimitedRequest): Promise<void> {
    try {
      request.signal?.throwIfAborted()
      await (request.priority === 'background' ? this.#acquireInBackground(request) : this.#acquire(request))
    } catch (error) {
      throw toRegistryError(error)
    }
  }

  release(priority?: Priority): void {
    this.#inFlight -= 1
    if (priority === 'background') this.#background.released()
    this.#pump()
  }

  on429(began: number, retryAfterSeconds: number | undefined): number {
    const longerMs = this.#pause.limited(began, retryAfterSeconds)
    this.#background.limited(began, retryAfterSeconds)
    this.#limitedAt = this.#options.clock.now()
    // Otherwise all waiting requests would be sent at once after the pause.
    if (longerMs > 0) this.#tokens?.drain(this.#pause.remainingMs())
    return longerMs
  }

  onSuccess(began: number): void {
    this.#pause.served(began)
    this.#background.served(began)
  }

  refuse(why: Refusal): UpstreamRateLimited {
    this.#options.observeRefused(why)
    // If all requests in flight wait for their response, upstream is slow and does not limit.
    const isFull = why === 'time' && this.#inFlight >= this.#options.maxInFlight
    return limitOf(isFull ? 'queue' : why, Math.max(1, Math.ceil(this.#opensInMs() / 1000)))
  }

  async #acquire(waiting: Waiting): Promise<void> {
    const { clock } = this.#options
    this.#background.foregroundCame()
    if (this.#queue.size() === 0 && !this.#isBackgroundDue() && this.#take()) return
    if (clock.now() + this.#pause.remainingMs() >= waiting.until) throw this.refuse('paused')
    const wait = this.#queue.wait(waiting)
    this.#pump()
    await wait
  }

  async #acquireInBackground(waiting: Waiting): Promise<void> {
    const wait = this.#backgroundQueue.wait(waiting)
    this.#background.came(this.#backgroundQueue.size() === 1)
    this.#pump()
    await wait
  }

  #bucket(): TokenBucket | undefined {
    const isLimited = this.#options.clock.now() - this.#limitedAt < appliesForMs
    return this.#options.rate?.onlyAfter429 !== true || isLimited ? this.#tokens : undefined
  }

  #opensInMs(): number {
    return Math.max(this.#pause.remainingMs(), this.#bucket()?.opensInMs() ?? 0)
  }

  #take = (): boolean => {
    if (!this.#takeAny()) return false
    this.#background.foregroundWent()
    return true
  }

  #takeInBackground = (): boolean => {
    const isLimited = this.#bucket() !== undefined
    if (!this.#background.mayGo(this.#queue.size() === 0, isLimited) || !this.#takeAny()) return false
    this.#background.went(this.#backgroundQueue.size() > 1)
    return true
  }

  #takeAny(): boolean {
    const isShut = this.#inFlight >= this.#options.maxInFlight || this.#pause.remainingMs() > 0
    if (isShut || this.#bucket()?.take() === false) return false
    this.#inFlight += 1
    return true
  }

  #isBackgroundDue(): boolean {
    return this.#backgroundQueue.size() > 0 && this.#background.isStarved()
  }

  #pump(): void {
    if (this.#isBackgroundDue()) this.#backgroundQueue.next(this.#takeInBackground)
    while (this.#queue.next(this.#take));
    while (this.#backgroundQueue.next(this.#takeInBackground));
    // If the maximum is in flight, the next release calls this again.
    const isWaitedFor = this.#queue.size() > 0 || this.#backgroundQueue.size() > 0
    if (isWaitedFor && this.#inFlight < this.#options.maxInFlight) this.#lookAgain()
  }

  #lookAgain(): void {
    const { clock } = this.#options
    const at = clock.now() + this.#nextLookMs()
    // A check that is due for the background alone can be too late for other requests.
    if (this.#nextLook !== undefined && this.#nextLook.at <= at) return
    this.#nextLook?.stop()
    const stop = clock.after(at - clock.now(), () => {
      this.#nextLook = undefined
      this.#pump()
    })
    this.#nextLook = { at, stop }
  }

  /** A bucket that replicas share may have a token sooner or later than it says, and does not tell when it has. */
  #nextLookMs(): number {
    const opensInMs = this.#opensInMs()
    return opensInMs > 0
      ? Math.min(opensInMs, longestLookMs)
      : this.#queue.size() > 0
        ? shortestLookMs
        : longestLookMs
  }
}

/**
 * A transient error even if the requester sends too much: serving a cached manifest costs upstream nothing, and a refused client would
 * request it again.
 */
const limitOf = (why: Refusal, seconds: number): UpstreamRateLimited => {
  if (why === 'queue')
    return new UpstreamRateLimited(
      `too many requests wait for the upstream registry; try again in ${seconds} s`,
      seconds,
      'UNAVAILABLE',
    )
  if (why === 'own-queue')
    return new UpstreamRateLimited(
      `you ask for more at once than the upstream registry grants; send fewer requests at a time, and try again in ${seconds} s`,
      seconds,
    )
  return new UpstreamRateLimited(
    `the upstream registry limits requests now; try again in ${seconds} s`,
    seconds,
  )
}
