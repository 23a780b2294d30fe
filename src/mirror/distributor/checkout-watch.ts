/**
 * The checkout of openshift/release, read again when git-sync replaces it.
 */
import type { Clock } from '../../concurrency/clock.ts'
import type { CheckoutReading, ReleaseCheckout } from './release-checkout.ts'
import type { TestInputs } from './test-inputs.ts'

export interface CheckoutWatchOptions {
  readonly checkout: ReleaseCheckout
  readonly clock: Clock
  readonly onRead: (reading: CheckoutReading) => void
  /** Called for each failure with another message than the last one. The inputs of the last successful reading stay in use. */
  readonly onFailure: (error: Error) => void
}

/** Milliseconds between two checks of the link of the checkout, and between two readings of a checkout without a link. */
const lookMs = 5000
const rereadMs = 600_000

export class CheckoutWatch {
  readonly #options: CheckoutWatchOptions
  readonly #closing = new AbortController()
  /** The error of the last reading; empty if it succeeded. */
  #problem = ''
  #inputs: TestInputs | undefined
  #readAt = -Infinity
  #working: Promise<void> = Promise.resolve()
  #cancel: () => void = () => undefined

  constructor(options: CheckoutWatchOptions) {
    this.#options = options
  }

  isRead(): boolean {
    return this.#inputs !== undefined && this.#problem === ''
  }

  /** Reads the checkout now, after a running reading. Further calls read it again. */
  async read(): Promise<void> {
    this.#working = this.#working.then(async () => await this.#look(true))
    await this.#working
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#cancel()
    await this.#working
  }

  /** @param isDue whether to read it although its link is the same */
  async #look(isDue: boolean): Promise<void> {
    const { checkout, clock } = this.#options
    const { signal } = this.#closing
    this.#cancel()
    if (isDue || clock.now() >= this.#readAt + rereadMs || (await checkout.isReplaced())) await this.#read()
    if (signal.aborted) return
    this.#cancel = clock.after(lookMs, () => {
      this.#working = this.#working.then(async () => await this.#look(false))
    })
  }

  async #read(): Promise<void> {
    const { checkout, clock, onRead, onFailure } = this.#options
    const { signal } = this.#closing
    this.#readAt = clock.now()
    try {
      const reading = await checkout.read(signal)
      this.#problem = ''
      this.#inputs = reading.inputs
      onRead(reading)
    } catch (error) {
      const { message } = error as Error
      if (message !== this.#problem && !signal.aborted) onFailure(error as Error)
      this.#problem = message
    }
  }
}
