/**
 * When a background request may be sent: if no user's request wants its turn, and once in a while in any case. Otherwise a client that
 * sends requests in a loop would keep the background waiting for ever.
 */
import type { Rate } from '../../concurrency/token-bucket.ts'
import { createPause } from './pause-after-429.ts'

export interface BackgroundOptions {
  /** Undefined: no limit per second. */
  readonly rate: Rate | undefined
  /** For the foreground and the background together. */
  readonly maxInFlight: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/** Half of so small a burst is less than one request. Then the background waits for a quiet moment instead. */
const smallBurst = 2
const quietMs = 1000
/** After so many milliseconds without a turn the background gets the next one: 2 % of the scarcest kind, tags. */
const starvedMs = 10_000
/** A 429 pauses the background for longer than the foreground. */
const pauseMs = { firstMs: 5000, longestMs: 60_000 }

export class Background {
  readonly #options: BackgroundOptions
  readonly #rate: Rate
  readonly #pause
  /** Tokens by this process's own count: replicas may share the bucket itself. */
  #left: number
  #countedAt: number
  #foregroundAt = -Infinity
  /** When the first waiting request is starved; Infinity if none waits. */
  #starvesFrom = Infinity
  #inFlight = 0

  constructor(options: BackgroundOptions) {
    this.#options = options
    this.#pause = createPause(options.now, pauseMs)
    this.#rate = options.rate ?? { perSecond: 0, burst: 0 }
    this.#left = this.#rate.burst
    this.#countedAt = options.now()
  }

  /** A foreground request arrives. */
  foregroundCame(): void {
    this.#foregroundAt = this.#options.now()
  }

  /** A foreground request is sent. */
  foregroundWent(): void {
    this.#spend()
  }

  /** A background request waits. @param isFirst whether it is the only one */
  came(isFirst: boolean): void {
    if (isFirst) this.#starvesFrom = this.#options.now() + starvedMs
  }

  /**
   * @param isIdle no foreground request waits
   * @param isLimited the rate limit applies now
   */
  mayGo(isIdle: boolean, isLimited: boolean): boolean {
    const { maxInFlight } = this.#options
    if (this.#pause.remainingMs() > 0 || this.#inFlight >= Math.max(1, maxInFlight / 2)) return false
    return this.isStarved() || (isIdle && (!isLimited || this.#isSpare()))
  }

  isStarved(): boolean {
    return this.#options.now() >= this.#starvesFrom
  }

  /** A background request is sent. @param isWaitedFor whether further ones wait */
  went(isWaitedFor: boolean): void {
    this.#spend()
    this.#inFlight += 1
    this.came(isWaitedFor)
  }

  released(): void {
    this.#inFlight -= 1
  }

  limited(began: number, retryAfterSeconds: number | undefined): void {
    this.#pause.limited(began, retryAfterSeconds === undefined ? undefined : 2 * retryAfterSeconds)
  }

  served(began: number): void {
    this.#pause.served(began)
  }

  /** Whether more than half of the burst is left: that half is the foreground's. */
  #isSpare(): boolean {
    const { burst } = this.#rate
    if (burst <= smallBurst) return this.#options.now() - this.#foregroundAt >= quietMs
    return this.#count() - 1 >= burst / 2
  }

  #count(): number {
    const { now } = this.#options
    const { perSecond, burst } = this.#rate
    this.#left = Math.min(burst, this.#left + ((now() - this.#countedAt) / 1000) * perSecond)
    this.#countedAt = now()
    return this.#left
  }

  #spend(): void {
    this.#left = Math.max(0, this.#count() - 1)
  }
}
