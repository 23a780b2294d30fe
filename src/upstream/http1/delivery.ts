/**
 * Handing over what was read, one chunk at a time: who has not written a chunk is waited for, and upstream with him.
 */
import type { ReadBuffer, Stretch } from './read-buffer.ts'
import type { Sink } from '../request.ts'

export interface DeliveryOptions {
  readonly readBuffer: Pick<ReadBuffer, 'isEmpty' | 'next'>
  readonly release: (stretch: Stretch) => void
  /** Every byte has been read. */
  readonly isComplete: () => boolean
  readonly pause: () => void
  readonly resume: () => void
  /** `waitedMs` is how long upstream was not read for it. */
  readonly onWritten: (waitedMs: number) => void
  /** What the taker threw. */
  readonly onThrown: (error: unknown) => void
  readonly onDelivered: () => void
  /** Milliseconds, any origin. */
  readonly now: () => number
}

export interface Delivery {
  readonly start: (sink: Sink) => void
  /** More has been read. */
  readonly flow: () => void
  /** Nobody takes anything now: upstream is not to be read. */
  readonly isHeld: () => boolean
  readonly stop: () => void
}

export const createDelivery = (options: DeliveryOptions): Delivery => {
  const { readBuffer, release, isComplete, pause, resume, onWritten, onThrown, onDelivered, now } = options
  let sink: Sink | undefined
  let isOut = false
  let isFlowing = false
  let isHeld = true
  let heldAt = 0

  const hold = (): void => {
    if (!isOut || isHeld || isComplete() || sink === undefined) return
    isHeld = true
    heldAt = now()
    pause()
  }
  const goOn = (): void => {
    if (isOut || !isHeld || sink === undefined || isComplete()) return
    isHeld = false
    resume()
  }
  /** Whether it was written at once. */
  const hand = (taker: Sink, stretch: Stretch): boolean => {
    isOut = true
    const written = (): void => {
      isOut = false
      release(stretch)
      onWritten(isHeld ? now() - heldAt : 0)
      flow()
      goOn()
    }
    taker(stretch.bytes, once(written))
    return !isOut
  }
  const flow = (): void => {
    if (isFlowing) return
    isFlowing = true
    try {
      let isFree = !isOut
      while (isFree) {
        const stretch = sink === undefined ? undefined : readBuffer.next()
        isFree = stretch !== undefined && sink !== undefined && hand(sink, stretch)
      }
    } catch (error) {
      onThrown(error)
    }
    isFlowing = false
    if (sink === undefined) return
    if (readBuffer.isEmpty() && isComplete()) onDelivered()
    // A chunk that the socket took at once is written by the time the microtasks run: upstream needs no pause then.
    else if (isOut && !isHeld) queueMicrotask(hold)
  }
  const stop = (): void => void (sink = undefined)
  return {
    start: (taker) => {
      sink = taker
      heldAt = now()
      flow()
      goOn()
    },
    flow,
    isHeld: () => isHeld,
    stop,
  }
}

/** Attack: memory that is given back twice would be two bodies' at a time. */
const once = (action: () => void): (() => void) => {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    action()
  }
}
