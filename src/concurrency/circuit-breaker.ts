/**
 * A circuit breaker. After enough failures in a row the circuit is open: requests fail at once, and one probe at a time tests whether the
 * server answers again. No caller waits for the probe, which takes as long as the failure does.
 *
 * The user of the breaker says which errors are evidence against the server. If only timeouts are, errors that come fast do not open the
 * circuit: they cost no time, and may concern one request alone.
 */

export interface CircuitBreakerOptions {
  /** Whether an error is evidence against the server. An error because the caller left is not. An answer such as 404 must be returned. */
  readonly isTransient: (error: unknown) => boolean
  /** The error of a caller whose request is not sent. */
  readonly refuse: () => Error
  /** Failures in a row that open the circuit; 1 unless given. */
  readonly threshold?: number
  /** Milliseconds between two probes; 1000 unless given. */
  readonly retryMs?: number
  /** Called when the circuit opens or closes. */
  readonly onChange?: (isOpen: boolean) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * `send` may run as a probe after its caller was refused. Its answer is dropped then. So it must not end with the caller.
 * @throws what `send` throws, or what `refuse` makes
 */
export type CircuitBreaker = <Answer>(send: () => Promise<Answer>) => Promise<Answer>

export const createCircuitBreaker = (options: CircuitBreakerOptions): CircuitBreaker => {
  const breaker = new Breaker(options)
  return async (send) => await breaker.run(send)
}

class Breaker {
  readonly #options: CircuitBreakerOptions
  readonly #threshold: number
  readonly #retryMs: number
  readonly #now: () => number
  #answeredAt = -Infinity
  #isOpen = false
  /** Since the last answer. */
  #failures = 0
  #probeDueAt = 0
  #isProbing = false

  constructor(options: CircuitBreakerOptions) {
    const { threshold = 1, retryMs = 1000, now = () => performance.now() } = options
    this.#options = options
    this.#threshold = threshold
    this.#retryMs = retryMs
    this.#now = now
  }

  async run<Answer>(send: () => Promise<Answer>): Promise<Answer> {
    if (!this.#isOpen) return await this.#sendNow(send)
    if (!this.#isProbing && this.#now() >= this.#probeDueAt) void this.#probe(send)
    throw this.#options.refuse()
  }

  async #sendNow<Answer>(send: () => Promise<Answer>): Promise<Answer> {
    const began = this.#now()
    try {
      const answer = await send()
      this.#succeeded()
      return answer
    } catch (error) {
      if (this.#isEvidence(error, began)) this.#failed()
      throw error
    }
  }

  async #probe(send: () => Promise<unknown>): Promise<void> {
    const began = this.#now()
    this.#isProbing = true
    try {
      await send()
      this.#succeeded()
    } catch (error) {
      if (this.#isEvidence(error, began)) {
        this.#failed()
        this.#probeDueAt = this.#now() + this.#retryMs
        // The server answers, but with errors. The failures still count: the next one opens the circuit again.
      } else this.#turn(false)
    }
    this.#isProbing = false
  }

  /** No, if another request was answered since this one was sent. */
  #isEvidence(error: unknown, began: number): boolean {
    return this.#options.isTransient(error) && this.#answeredAt <= began
  }

  #succeeded(): void {
    this.#answeredAt = this.#now()
    this.#failures = 0
    this.#turn(false)
  }

  #failed(): void {
    this.#failures += 1
    if (this.#isOpen || this.#failures < this.#threshold) return
    this.#turn(true)
    this.#probeDueAt = this.#now() + this.#retryMs
  }

  #turn(isOpen: boolean): void {
    if (this.#isOpen === isOpen) return
    this.#isOpen = isOpen
    this.#options.onChange?.(isOpen)
  }
}
