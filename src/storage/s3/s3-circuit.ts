/**
 * The circuit breaker of S3. Only timeouts and failures of S3 itself open it. A refusal comes fast, and may concern one object.
 */
import { createCircuitBreaker, type CircuitBreaker } from '../../concurrency/circuit-breaker.ts'
import { S3CircuitOpen, S3Unavailable } from './s3-errors.ts'

export interface S3CircuitOptions {
  readonly onChange: (isOpen: boolean) => void
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/** Failures in a row. A single broken connection does not open the circuit. */
const threshold = 3
const retryMs = 1000

export class S3Circuit {
  readonly #breaker: CircuitBreaker
  #isOpen = false

  constructor({ onChange, now }: S3CircuitOptions) {
    this.#breaker = createCircuitBreaker({
      isTransient: (error) => error instanceof S3Unavailable,
      refuse: () => new S3CircuitOpen('S3 is unavailable'),
      threshold,
      retryMs,
      onChange: (isOpen) => {
        this.#isOpen = isOpen
        onChange(isOpen)
      },
      now,
    })
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /**
   * @param send must not end with its caller: it may run as a probe after its caller was refused, and its answer is dropped then
   * @param drop takes the answer of a probe
   * @throws {S3CircuitOpen}; what `send` throws
   */
  async run<Answer>(
    send: (isProbe: boolean) => Promise<Answer>,
    drop?: (answer: Answer) => unknown,
  ): Promise<Answer> {
    const isProbe = this.#isOpen
    return await this.#breaker(async () => {
      const answer = await send(isProbe)
      if (isProbe) drop?.(answer)
      return answer
    })
  }
}
