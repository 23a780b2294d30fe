/**
 * The checkout of openshift/release, read again when git-sync replaces it.
 */
import { backoffMs, type Backoff } from '../../concurrency/backoff.ts'
import type { Clock } from '../../concurrency/clock.ts'
import type { CheckoutReading, ReleaseCheckout } from './release-checkout.ts'

export interface CheckoutWatchOptions {
  readonly checkout: ReleaseCheckout
  readonly clock: Clock
  readonly onRead: (reading: CheckoutReading) => void
  /** Called once when readings begin to fail. The inputs of the last successful reading stay in use. */
  readonly onFailure: (error: Error) => void
}

/** Milliseconds between two checks of the link of the checkout, and between two readings of a checkout without a link. */
const lookMs = 5000
const rereadMs = 600_000
/** Between two readings of a checkout that cannot be read. Attack: one that is larger than the bounds would be read again and again. */
const backoff: Backoff = { firstMs: 10_000, longestMs: rereadMs }

export class CheckoutWatch {
  readonly #options: CheckoutWatchOptions
  readonly #closing = new AbortController()
  /** Readings that have failed since the last success. */
  #failures = 0
  /** The message of the last reading; empty if it succeeded. */
  #problem = 'it was not read yet'
  /** Milliseconds of the clock. */
  #nextAt = -Infinity
  #working: Promise<void> = Promise.resolve()
  #cancel: () => void = () => undefined

  constructor(options: CheckoutWatchOptions) {
    this.#options = options
  }

  /** Why the inputs are not those of the checkout: undefined if they are. */
  problem(): string | undefined {
    return this.#problem === '' ? undefined : this.#problem
  }

  /** Reads the checkout now, after a running reading. Further calls read it again. */
  async read(): Promise<void> {
    this.#working = this.#working.then(async () => await this.#look(true))
    await this.#working
  }

  /** Resolves when no reading runs. */
  async settled(): Promise<void> {
    await this.#working
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#cancel()
    await this.settled()
  }

  /** @param isDue whether to read it although its link is the same */
  async #look(isDue: boolean): Promise<void> {
    const { checkout, clock } = this.#options
    const { signal } = this.#closing
    this.#cancel()
    if (isDue || clock.now() >= this.#nextAt || (await checkout.isReplaced())) await this.#read()
    if (signal.aborted) return
    this.#cancel = clock.after(lookMs, () => {
      this.#working = this.#working.then(async () => await this.#look(false))
    })
  }

  async #read(): Promise<void> {
    const { checkout, clock, onRead, onFailure } = this.#options
    const { signal } = this.#closing
    try {
      const reading = await checkout.read(signal)
      this.#problem = ''
      this.#failures = 0
      onRead(reading)
    } catch (error) {
      if (this.#failures === 0 && !signal.aborted) onFailure(error as Error)
      this.#problem = (error as Error).message
      this.#failures += 1
    }
    // From its end, so that a slow reading is not followed by the next one at once.
    this.#nextAt = clock.now() + (this.#failures === 0 ? rereadMs : backoffMs(this.#failures - 1, backoff))
  }
}
