/**
 * The way to upstream for requests of one kind: so many at a time, so many a second, and none while upstream asks for a pause. What
 * finds it shut waits for its turn, within bounds.
 */
import { Background } from './background.ts'
import type { Clock } from '../../concurrency/clock.ts'
import { createFairQueue, type FairQueue, type SentAway, type Waiting } from '../../concurrency/fair-queue.ts'
import { createTokenBucket, type Rate, type TokenBucket } from '../../concurrency/token-bucket.ts'
import type { Waiter } from '../dispatcher.ts'
import { failureOf, UpstreamLimit } from '../failures.ts'
import { createPause, type Pause } from './pause.ts'
import type { UpstreamRate } from './quay-limits.ts'

export type Refusal = SentAway | 'paused'

type Priority = Waiter['priority']

/** `background`: behind all others, with a burst kept for them; and now and then before them. */
export type GateWaiting = Waiting & Pick<Waiter, 'priority'>

export interface GateOptions {
  /** Undefined: as many a second as there are. */
  readonly rate: UpstreamRate | undefined
  /** Requests without a head of an answer. */
  readonly maxInFlight: number
  readonly maxPerAsker: number
  readonly maxQueued: number
  readonly clock: Clock
  /** Of this process alone, unless given. */
  readonly tokenBucket?: ((rate: Rate) => TokenBucket) | undefined
  readonly observeRefused: (why: Refusal) => void
}

export interface Gate {
  /** Resolves when this one may go; each that has gone must `leave`. @throws {UpstreamTrouble} */
  readonly enter: (waiting: GateWaiting) => Promise<void>
  readonly leave: (priority?: Priority) => void
  /** Upstream answered 429 to what was asked at `began`. @returns milliseconds by which nothing is asked for longer */
  readonly limited: (began: number, retryAfterSeconds: number | undefined) => number
  readonly served: (began: number) => void
  /** What those get who cannot go. */
  readonly refuse: (why: Refusal) => UpstreamLimit
}

/** How long a limit that was met once is taken to be there: the busy hours of a day are told from its quiet ones. */
const seenForMs = 600_000
/** Milliseconds between two looks at what those who wait are waiting for. */
const shortestLookMs = 20
const longestLookMs = 250

export const createGate = (options: GateOptions): Gate => new SharedGate(options)

class SharedGate implements Gate {
  readonly #options: GateOptions
  readonly #tokens: TokenBucket | undefined
  readonly #pause: Pause
  readonly #queue: FairQueue
  readonly #background: Background
  readonly #backgroundQueue: FairQueue
  #limitedAt = -Infinity
  #inFlight = 0
  #nextLook: { readonly at: number; readonly stop: () => void } | undefined

  constructor(options: GateOptions) {
    const { rate, maxQueued, maxInFlight, clock } = options
    const { tokenBucket = (given) => createTokenBucket(given, clock.now) } = options
    this.#options = options
    this.#tokens = rate === undefined ? undefined : tokenBucket(rate)
    this.#pause = createPause(clock.now)
    const refuse = (why: Refusal) => this.refuse(why)
    this.#queue = createFairQueue({ ...options, refuse })
    this.#background = new Background({ rate, maxInFlight, now: clock.now })
    this.#backgroundQueue = createFairQueue({ maxPerAsker: maxQueued, maxQueued, clock, refuse })
  }

  async enter(waiting: GateWaiting): Promise<void> {
    try {
      waiting.signal?.throwIfAborted()
      await (waiting.priority === 'background' ? this.#enterBehind(waiting) : this.#enter(waiting))
    } catch (error) {
      throw failureOf(error)
    }
  }

  leave(priority?: Priority): void {
    this.#inFlight -= 1
    if (priority === 'background') this.#background.left()
    this.#pump()
  }

  limited(began: number, retryAfterSeconds: number | undefined): number {
    const longerMs = this.#pause.limited(began, retryAfterSeconds)
    this.#background.limited(began, retryAfterSeconds)
    this.#limitedAt = this.#options.clock.now()
    // What has piled up meanwhile is not to go all at once when the pause is over.
    if (longerMs > 0) this.#tokens?.drain(this.#pause.remainingMs())
    return longerMs
  }

  served(began: number): void {
    this.#pause.served(began)
    this.#background.served(began)
  }

  refuse(why: Refusal): UpstreamLimit {
    this.#options.observeRefused(why)
    // Upstream limits nothing where its answers are what is waited for.
    const isFull = why === 'time' && this.#inFlight >= this.#options.maxInFlight
    return limitOf(isFull ? 'queue' : why, Math.max(1, Math.ceil(this.#opensInMs() / 1000)))
  }

  async #enter(waiting: Waiting): Promise<void> {
    const { clock } = this.#options
    this.#background.foregroundCame()
    if (this.#queue.size() === 0 && !this.#isBackgroundDue() && this.#take()) return
    if (clock.now() + this.#pause.remainingMs() >= waiting.until) throw this.refuse('paused')
    const wait = this.#queue.wait(waiting)
    this.#pump()
    await wait
  }

  async #enterBehind(waiting: Waiting): Promise<void> {
    const wait = this.#backgroundQueue.wait(waiting)
    this.#background.came(this.#backgroundQueue.size() === 1)
    this.#pump()
    await wait
  }

  #bucket(): TokenBucket | undefined {
    const isSeen = this.#options.clock.now() - this.#limitedAt < seenForMs
    return this.#options.rate?.onceSeen !== true || isSeen ? this.#tokens : undefined
  }

  #opensInMs(): number {
    return Math.max(this.#pause.remainingMs(), this.#bucket()?.opensInMs() ?? 0)
  }

  #take = (): boolean => {
    if (!this.#takeAny()) return false
    this.#background.foregroundWent()
    return true
  }

  #takeBehind = (): boolean => {
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
    if (this.#isBackgroundDue()) this.#backgroundQueue.next(this.#takeBehind)
    while (this.#queue.next(this.#take));
    while (this.#backgroundQueue.next(this.#takeBehind));
    // Where all places are taken, whoever leaves one pumps again.
    const isWaitedFor = this.#queue.size() > 0 || this.#backgroundQueue.size() > 0
    if (isWaitedFor && this.#inFlight < this.#options.maxInFlight) this.#lookAgain()
  }

  #lookAgain(): void {
    const { clock } = this.#options
    const at = clock.now() + this.#nextLookMs()
    // One that is due for the background alone is too late for those who have come since.
    if (this.#nextLook !== undefined && this.#nextLook.at <= at) return
    this.#nextLook?.stop()
    const stop = clock.after(at - clock.now(), () => {
      this.#nextLook = undefined
      this.#pump()
    })
    this.#nextLook = { at, stop }
  }

  /** A bucket that others take from may have a token sooner or later than it says, and does not call when it has. */
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
 * An upstream trouble, even where the asker's own greed is the reason: a manifest that is known is better served from memory, at no
 * cost to upstream, than refused and asked for again.
 */
const limitOf = (why: Refusal, seconds: number): UpstreamLimit => {
  if (why === 'queue')
    return new UpstreamLimit(
      `too many requests wait for the upstream registry; try again in ${seconds} s`,
      seconds,
      'UNAVAILABLE',
    )
  if (why === 'own-queue')
    return new UpstreamLimit(
      `you ask for more at once than the upstream registry grants; send fewer requests at a time, and try again in ${seconds} s`,
      seconds,
    )
  return new UpstreamLimit(`the upstream registry limits requests now; try again in ${seconds} s`, seconds)
}
