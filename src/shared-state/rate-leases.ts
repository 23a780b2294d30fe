/**
 * One token bucket for all replicas, kept in the store. Each replica leases a few tokens ahead of its need, so that `take` stays
 * synchronous; so all of them together stay within the rate, however many there are.
 *
 * While the store is away, or takes no writes, each has a fixed share of the rate, which begins empty: the others have a share each, too.
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
   * @param spent tokens taken without asking
   * @param shutMs for which there are none
   * @returns granted, and milliseconds until there is another one
   * @throws {Error} where the store cannot say
   */
  readonly lease: (wanted: number, spent: number, shutMs: number) => Promise<Reply>
  readonly isUp: () => boolean
  /** Live replicas as last known. */
  readonly replicas: () => number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/** What is not spent by then lapses: it was granted for now. */
const lapseMs = 1000
/** After a failure the store is not asked for as long. */
const aloneMs = 1000
/** About what a lease takes. */
const askAgainMs = 5

/** What is asked of the store for a lease. */
export const leaseCommand = (name: string, rate: Rate, ...counts: readonly number[]): Argument[] =>
  evalOf(leaseScript, [rateKey(name)], [rate.perSecond, rate.burst, ...counts].map(String))

export class LeasedBucket implements TokenBucket {
  readonly #options: LeasedBucketOptions
  readonly #mostWanted: number
  #tokens = 0
  #lapseAt = 0
  /** Doubled when they run out, halved when they lapse. */
  #wanted = 1
  #isAsking = false
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
      this.#ask()
      return false
    }
    this.#tokens -= 1
    if (this.#tokens === 0) this.#wanted = Math.min(this.#mostWanted, this.#wanted * 2)
    if (this.#tokens <= this.#wanted / 2) this.#ask()
    return true
  }

  opensInMs(): number {
    const alone = this.#alone()
    if (alone !== undefined) return Math.max(alone.opensInMs(), this.#opensAt - this.#options.now())
    if (this.#tokens > 0) return 0
    this.#ask()
    return Math.max(askAgainMs, this.#opensAt - this.#options.now())
  }

  drain(ms: number): void {
    this.#tokens = 0
    this.#opensAt = this.#options.now() + ms
    this.#alone()?.drain(ms)
    if (this.#options.isUp()) void this.#lease(0, ms)
  }

  /** The share of this replica, while it has to do without the store: until that has granted something again. */
  #alone(): TokenBucket | undefined {
    if (!this.#options.isUp() || this.#options.now() < this.#aloneUntil)
      this.#share ??= this.#createFixedShare()
    else if (this.#share !== undefined) this.#ask()
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

  #ask(): void {
    if (this.#isAsking || this.#options.now() < this.#opensAt) return
    this.#isAsking = true
    void this.#lease(this.#wanted, 0).finally(() => (this.#isAsking = false))
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
