/**
 * Hands what was read to a sink, one chunk at a time. While the sink holds a chunk, upstream is not read (backpressure).
 */
import type { ReadBuffer, Stretch } from './read-buffer.ts'
import type { Sink } from '../../oci/image-source.ts'

/** The body that is delivered. */
export interface DeliveryOwner {
  /** Every byte has been read. */
  readonly isComplete: () => boolean
  readonly pause: () => void
  readonly resume: () => void
  /** The sink has released a chunk. `waitedMs`: for so long upstream was not read because of it. */
  readonly onReleased: (stretch: Stretch, waitedMs: number) => void
  /** The sink threw. */
  readonly onThrown: (error: unknown) => void
  readonly onDelivered: () => void
  /** Milliseconds, any origin. */
  readonly now: () => number
}

export class Delivery {
  readonly #readBuffer: Pick<ReadBuffer, 'isEmpty' | 'next'>
  readonly #owner: DeliveryOwner
  #sink: Sink | undefined
  /** The sink has not released its chunk yet. */
  #isOut = false
  #isFlowing = false
  #isPaused = true
  #pausedAt = 0

  constructor(readBuffer: Pick<ReadBuffer, 'isEmpty' | 'next'>, owner: DeliveryOwner) {
    this.#readBuffer = readBuffer
    this.#owner = owner
  }

  /** Upstream must not be read: there is no sink yet, or it holds a chunk. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  start(sink: Sink): void {
    this.#sink = sink
    this.#pausedAt = this.#owner.now()
    this.flow()
    this.#resume()
  }

  /** Call this when more has been read. */
  flow(): void {
    if (this.#isFlowing) return
    this.#isFlowing = true
    try {
      this.#handAll()
    } catch (error) {
      this.#owner.onThrown(error)
    }
    this.#isFlowing = false
    if (this.#sink === undefined) return
    if (this.#readBuffer.isEmpty() && this.#owner.isComplete()) this.#owner.onDelivered()
    // If the socket of the client takes a chunk at once, it is released before the microtasks run, and upstream needs no pause.
    else if (this.#isOut && !this.#isPaused) queueMicrotask(this.#pause)
  }

  stop(): void {
    this.#sink = undefined
  }

  #handAll(): void {
    while (!this.#isOut && this.#sink !== undefined) {
      const stretch = this.#readBuffer.next()
      if (stretch === undefined) return
      this.#hand(this.#sink, stretch)
    }
  }

  #hand(sink: Sink, stretch: Stretch): void {
    this.#isOut = true
    let isReleased = false
    sink(stretch.bytes, () => {
      // Attack: memory that is released twice would belong to two bodies at a time.
      if (isReleased) return
      isReleased = true
      this.#released(stretch)
    })
  }

  #released(stretch: Stretch): void {
    this.#isOut = false
    this.#owner.onReleased(stretch, this.#isPaused ? this.#owner.now() - this.#pausedAt : 0)
    this.flow()
    this.#resume()
  }

  readonly #pause = (): void => {
    if (!this.#isOut || this.#isPaused || this.#owner.isComplete() || this.#sink === undefined) return
    this.#isPaused = true
    this.#pausedAt = this.#owner.now()
    this.#owner.pause()
  }

  #resume(): void {
    if (this.#isOut || !this.#isPaused || this.#sink === undefined || this.#owner.isComplete()) return
    this.#isPaused = false
    this.#owner.resume()
  }
}
