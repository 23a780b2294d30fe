/**
 * One token bucket for all replicas, in the store. Each replica leases a few tokens in advance, so that `take` stays synchronous. All
 * replicas together stay within the rate, no matter how many there are.
 *
 * While the store is unavailable, or takes no writes, each replica has a fixed share of the rate, which starts empty.
 */
import { createTokenBucket, partOf, type Rate, type TokenBucket } from '../concurrency/token-bucket.ts'
import { rateKey } from './keys.ts'
import { listOf, numberOf, type Reply } from './reply.ts'
import { leaseScript } from './scripts.ts'
import { evalOf } from './session.ts'
import type { Argument } from './store-client.ts'

export interface LeasedBucketOptions {
  readonly rate: Rate
  /**
   * @param wanted tokens, 0 or more
   * @param spent tokens that were taken without a lease
   * @param shutMs milliseconds for which the bucket grants none
   * @returns granted tokens, and milliseconds until the next one
   * @throws {Error} if the store does not answer
   */
  readonly lease: (wanted: number, spent: number, shutMs: number) => Promise<Reply>
  readonly isUp: () => boolean
  /** The last known number of live replicas. */
  readonly replicas: () => number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/** Leased tokens lapse after this time, because they were granted for now. */
const lapseMs = 1000
/** Milliseconds without a lease after a failure. */
const aloneMs = 1000
/** About the time that a lease takes. */
const leaseAgainMs = 5

/** The command of the store for a lease. */
export const leaseCommand = (name: string, rate: Rate, ...counts: readonly number[]): Argument[] =>
  evalOf(leaseScript, [rateKey(name)], [rate.perSecond, rate.burst, ...counts].map(String))

export class LeasedBucket implements TokenBucket {
  readonly #options: LeasedBucketOptions
  readonly #mostWanted: number
  #tokens = 0
  #lapseAt = 0
  /** Tokens of the next lease: doubled when the tokens run out, halved when they lapse. */
  #wanted = 1
  #isLeasing = false
  #opensAt = -Infinity
  #aloneUntil = -Infinity
  #spentAlone = 0
  #share: TokenBucket | undefined

  constructor(options: LeasedBucketOptions) {
    this.#options = options
    this.#mostWanted = Math.max(1, Math.ceil(options.rate.perSecond / 2))
  }

  take(): boolean {
    const alone = this.#alone()
    if (alone !== undefined) return this.#takeAlone(alone)
    if (this.#tokens === 0) {
      this.#leaseMore()
      return false
    }
    this.#tokens -= 1
    if (this.#tokens === 0) this.#wanted = Math.min(this.#mostWanted, this.#wanted * 2)
    if (this.#tokens <= this.#wanted / 2) this.#leaseMore()
    return true
  }

  opensInMs(): number {
    const alone = this.#alone()
    if (alone !== undefined) return Math.max(alone.opensInMs(), this.#opensAt - this.#options.now())
    if (this.#tokens > 0) return 0
    this.#leaseMore()
    return Math.max(leaseAgainMs, this.#opensAt - this.#options.now())
  }

  drain(ms: number): void {
    this.#tokens = 0
    this.#opensAt = this.#options.now() + ms
    this.#alone()?.drain(ms)
    if (this.#options.isUp()) void this.#lease(0, ms)
  }

  /** The share of this replica while it works without the store: until the store has granted a lease again. */
  #alone(): TokenBucket | undefined {
    if (!this.#options.isUp() || this.#options.now() < this.#aloneUntil)
      this.#share ??= this.#createFixedShare()
    else if (this.#share !== undefined) this.#leaseMore()
    else this.#lapse()
    return this.#share
  }

  #createFixedShare(): TokenBucket {
    const { rate, replicas, now } = this.#options
    this.#tokens = 0
    const part = partOf(rate, replicas())
    const share = createTokenBucket(part, now)
    share.drain(1000 / part.perSecond)
    return share
  }

  #lapse(): void {
    if (this.#tokens === 0 || this.#options.now() < this.#lapseAt) return
    this.#tokens = 0
    this.#wanted = Math.max(1, this.#wanted >> 1)
  }

  #takeAlone(share: TokenBucket): boolean {
    if (this.#options.now() < this.#opensAt || !share.take()) return false
    this.#spentAlone += 1
    return true
  }

  #leaseMore(): void {
    if (this.#isLeasing || this.#options.now() < this.#opensAt) return
    this.#isLeasing = true
    void this.#lease(this.#wanted, 0).finally(() => (this.#isLeasing = false))
  }

  async #lease(wanted: number, shutMs: number): Promise<void> {
    const { lease, now } = this.#options
    const spent = this.#spentAlone
    this.#spentAlone = 0
    try {
      const [granted, opensInMs] = listOf(await lease(wanted, spent, shutMs)).map(numberOf) as [
        number,
        number,
      ]
      this.#share = undefined
      this.#tokens += granted
      this.#lapseAt = now() + lapseMs
      this.#opensAt = Math.max(this.#opensAt, now() + opensInMs)
    } catch {
      this.#spentAlone += spent
      this.#aloneUntil = now() + aloneMs
    }
  }
}
