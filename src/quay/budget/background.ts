/**
 * When a request that nobody waits for may go: where it takes nothing from those who do wait, and once in a while in any case, or a loop
 * of somebody's requests would keep it from ever being made.
 */
import type { Rate } from '../../concurrency/token-bucket.ts'
import { createPause } from './pause.ts'

export interface BackgroundOptions {
  /** Undefined: as many a second as there are. */
  readonly rate: Rate | undefined
  /** Of the foreground and the background together. */
  readonly maxInFlight: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/** With so small a burst half of it is nothing: what is kept for the others is a moment without any of them. */
const smallBurst = 2
const quietMs = 1000
/** Milliseconds without a turn after which the next one is the background's, whoever else waits: 2 % of the scarcest kind, tags. */
const starvedMs = 10_000
/** A 429 that it met, or caused, keeps it away for longer than the others. */
const pauseMs = { firstMs: 5000, longestMs: 60_000 }

export class Background {
  readonly #options: BackgroundOptions
  readonly #rate: Rate
  readonly #pause
  /** Of what is granted, as far as this process knows: the bucket itself may be shared with others. */
  #left: number
  #countedAt: number
  #foregroundAt = -Infinity
  /** Of those who wait, if any do. */
  #starvesFrom = Infinity
  #inFlight = 0

  constructor(options: BackgroundOptions) {
    this.#options = options
    this.#pause = createPause(options.now, pauseMs)
    this.#rate = options.rate ?? { perSecond: 0, burst: 0 }
    this.#left = this.#rate.burst
    this.#countedAt = options.now()
  }

  /** Somebody who waits for an answer asks. */
  foregroundCame(): void {
    this.#foregroundAt = this.#options.now()
  }

  /** One of the foreground goes. */
  foregroundWent(): void {
    this.#spend()
  }

  /** One of the background waits. @param isFirst and none did before */
  came(isFirst: boolean): void {
    if (isFirst) this.#starvesFrom = this.#options.now() + starvedMs
  }

  /**
   * @param isIdle nobody else waits for a turn
   * @param isLimited requests are counted now
   */
  mayGo(isIdle: boolean, isLimited: boolean): boolean {
    const { maxInFlight } = this.#options
    if (this.#pause.remainingMs() > 0 || this.#inFlight >= Math.max(1, maxInFlight / 2)) return false
    return this.isStarved() || (isIdle && (!isLimited || this.#isSpare()))
  }

  isStarved(): boolean {
    return this.#options.now() >= this.#starvesFrom
  }

  /** @param isWaitedFor further ones of the background wait */
  went(isWaitedFor: boolean): void {
    this.#spend()
    this.#inFlight += 1
    this.came(isWaitedFor)
  }

  left(): void {
    this.#inFlight -= 1
  }

  limited(began: number, retryAfterSeconds: number | undefined): void {
    this.#pause.limited(began, retryAfterSeconds === undefined ? undefined : 2 * retryAfterSeconds)
  }

  served(began: number): void {
    this.#pause.served(began)
  }

  /** Half of the burst stays for the foreground. */
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
