/**
 * Handing over what was read, one piece at a time: who has not written a piece is waited for, and upstream with him.
 */
import type { Take } from '../body.ts'
import type { Inflow, Stretch } from './inflow.ts'

export interface OutflowOptions {
  readonly inflow: Pick<Inflow, 'isEmpty' | 'next'>
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

export interface Outflow {
  readonly start: (take: Take) => void
  /** More has been read. */
  readonly flow: () => void
  /** Nobody takes anything now: upstream is not to be read. */
  readonly isHeld: () => boolean
  readonly stop: () => void
}

export const createOutflow = (options: OutflowOptions): Outflow => {
  const { inflow, release, isComplete, pause, resume, onWritten, onThrown, onDelivered, now } = options
  let take: Take | undefined
  let isOut = false
  let isFlowing = false
  let isHeld = true
  let heldAt = 0

  const hold = (): void => {
    if (!isOut || isHeld || isComplete() || take === undefined) return
    isHeld = true
    heldAt = now()
    pause()
  }
  const goOn = (): void => {
    if (isOut || !isHeld || take === undefined || isComplete()) return
    isHeld = false
    resume()
  }
  /** Whether it was written at once. */
  const hand = (taker: Take, stretch: Stretch): boolean => {
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
        const stretch = take === undefined ? undefined : inflow.next()
        isFree = stretch !== undefined && take !== undefined && hand(take, stretch)
      }
    } catch (error) {
      onThrown(error)
    }
    isFlowing = false
    if (take === undefined) return
    if (inflow.isEmpty() && isComplete()) onDelivered()
    // A piece that the socket took at once is written by the time the microtasks run: upstream needs no pause then.
    else if (isOut && !isHeld) queueMicrotask(hold)
  }
  const stop = (): void => void (take = undefined)
  return {
    start: (taker) => {
      take = taker
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
