/**
 * The body of an answer as it comes off a connection: exactly Content-Length bytes, handed over no faster than they are taken.
 */
import { maxDiscardedBytes, maxDiscardMs, type Body, type Take } from '../body.ts'
import { failureOf } from '../failures.ts'
import { createInflow } from './inflow.ts'
import { createOutflow } from './outflow.ts'
import { createPace } from './pace.ts'
import type { Receiver } from './receiver.ts'
import type { Slabs } from './slabs.ts'

export interface BodyOptions {
  readonly slabs: Slabs
  readonly contentLength: number
  readonly signal?: AbortSignal | undefined
  /** Milliseconds, any origin. */
  readonly now: () => number
  readonly connection: {
    readonly pause: () => void
    /** Reads on, and watches for silence. */
    readonly resume: () => void
    /** The answer has been read; `isClean` when nothing came behind it. */
    readonly done: (isClean: boolean) => void
    readonly close: () => void
  }
}

export interface StreamedBody {
  readonly body: Body
  readonly receiver: Receiver
  /** What was read together with the head; false stops the reading until the body is wanted. */
  readonly begin: (bytes: Buffer) => boolean
}

/**
 * A write costs about the same for one TLS record as for sixteen, so what is read waits for more: until a slab is full, or for so many
 * milliseconds. The beginning of a body never waits, nor does its end.
 */
const gatherMs = 1

interface Outcome {
  /** Absent where every byte was handed over. */
  readonly error?: unknown
}

export const createStreamedBody = (options: BodyOptions): StreamedBody => {
  const { slabs, connection, signal, now } = options
  const pace = createPace(slabs)
  const inflow = createInflow(slabs, pace.isLarge)
  const { outcome, settle } = createOutcome()
  let left = options.contentLength

  const finish = (result: Outcome): void => {
    if (!settle(result)) return
    signal?.removeEventListener('abort', abort)
    outflow.stop()
    pace.end()
    const isCut = left > 0
    left = 0
    // What is ended last is dropped as well: whoever takes the body only now gets the error, and no piece before it.
    if (isCut) inflow.end(false)
    inflow.drop()
    if (isCut) connection.close()
  }
  const abort = (): void => finish({ error: failureOf(signal?.reason) })
  const outflow = createOutflow({
    inflow,
    release: ({ slab }) => slabs.release(slab),
    isComplete: () => left === 0,
    pause: connection.pause,
    resume: connection.resume,
    onWritten: pace.written,
    onThrown: (error) => finish({ error }),
    onDelivered: () => finish({}),
    now,
  })
  const gather = createGather(outflow.flow)
  let isFirst = true
  const add = (read: number, store: (bytes: number) => boolean): boolean => {
    const wanted = Math.min(read, left)
    const isWhole = store(wanted)
    left -= wanted
    if (left === 0) {
      inflow.end(true)
      connection.done(read === wanted)
    }
    if (isWhole || isFirst || left === 0) outflow.flow()
    else gather()
    isFirst &&= read === 0
    return left === 0 || !outflow.isHeld()
  }

  signal?.addEventListener('abort', abort, { once: true })
  return {
    begin: (bytes) => add(bytes.length, (wanted) => inflow.copied(bytes.subarray(0, wanted))),
    receiver: {
      room: inflow.room,
      received: (bytes) => add(bytes, inflow.filled),
      stalled: () => {
        if (!outflow.isHeld()) finish({ error: failureOf(new DOMException('no body', 'TimeoutError')) })
      },
      lost: (error) => finish({ error: failureOf(error) }),
    },
    body: createBody(outcome, outflow.start, () => left, finish),
  }
}

const createBody = (
  outcome: Promise<Outcome>,
  start: (take: Take) => void,
  left: () => number,
  finish: (result: Outcome) => void,
): Body => ({
  deliver: async (take) => {
    start(take)
    const result = await outcome
    if ('error' in result) throw result.error
  },
  discard: async () => {
    const unread = left()
    if (unread === 0 || unread > maxDiscardedBytes)
      return finish({ error: failureOf(new Error('not wanted')) })
    const tooLong = setTimeout(() => finish({}), maxDiscardMs)
    start((_piece, written) => written())
    await outcome
    clearTimeout(tooLong)
  },
})

const createGather = (flow: () => void): (() => void) => {
  let isPlanned = false
  const turn = (): void => {
    isPlanned = false
    flow()
  }
  return () => {
    if (!isPlanned) setTimeout(turn, gatherMs)
    isPlanned = true
  }
}

/** How it ended; the first word counts. */
const createOutcome = () => {
  let isSettled = false
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const settle = (result: Outcome): boolean => {
    if (isSettled) return false
    isSettled = true
    resolve(result)
    return true
  }
  return { outcome: promise, settle }
}
