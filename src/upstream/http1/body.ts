/**
 * The body of an answer as it comes off a connection: exactly Content-Length bytes, handed over no faster than they are taken.
 */
import { toRegistryError } from '../errors.ts'
import { createReadBuffer } from './read-buffer.ts'
import { createDelivery } from './delivery.ts'
import { createChunkSize } from './chunk-size.ts'
import type { Reader } from './reader.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { Body, Sink } from '../request.ts'

/** What is thrown away of a redirect's or an error's body before the connection is given up instead. */
export const maxDiscardedBytes = 64 * 1024
/** Milliseconds that a client is made to wait for it. */
export const maxDiscardMs = 1000

export interface BodyOptions {
  readonly bufferPool: BufferPool
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
  readonly receiver: Reader
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
  const { bufferPool, connection, signal, now } = options
  const chunkSize = createChunkSize(bufferPool)
  const readBuffer = createReadBuffer(bufferPool, chunkSize.isLarge)
  const { outcome, settle } = createOutcome()
  let left = options.contentLength

  const finish = (result: Outcome): void => {
    if (!settle(result)) return
    signal?.removeEventListener('abort', abort)
    delivery.stop()
    chunkSize.end()
    const isCut = left > 0
    left = 0
    // What is ended last is dropped as well: whoever takes the body only now gets the error, and no chunk before it.
    if (isCut) readBuffer.end(false)
    readBuffer.drop()
    if (isCut) connection.close()
  }
  const abort = (): void => finish({ error: toRegistryError(signal?.reason) })
  const delivery = createDelivery({
    readBuffer,
    release: ({ slab }) => bufferPool.release(slab),
    isComplete: () => left === 0,
    pause: connection.pause,
    resume: connection.resume,
    onWritten: chunkSize.written,
    onThrown: (error) => finish({ error }),
    onDelivered: () => finish({}),
    now,
  })
  const gather = createGather(delivery.flow)
  let isFirst = true
  const add = (read: number, store: (bytes: number) => boolean): boolean => {
    const wanted = Math.min(read, left)
    const isWhole = store(wanted)
    left -= wanted
    if (left === 0) {
      readBuffer.end(true)
      connection.done(read === wanted)
    }
    if (isWhole || isFirst || left === 0) delivery.flow()
    else gather()
    isFirst &&= read === 0
    return left === 0 || !delivery.isHeld()
  }

  signal?.addEventListener('abort', abort, { once: true })
  return {
    begin: (bytes) => add(bytes.length, (wanted) => readBuffer.copied(bytes.subarray(0, wanted))),
    receiver: {
      room: readBuffer.room,
      received: (bytes) => add(bytes, readBuffer.filled),
      stalled: () => {
        if (!delivery.isHeld())
          finish({ error: toRegistryError(new DOMException('no body', 'TimeoutError')) })
      },
      lost: (error) => finish({ error: toRegistryError(error) }),
    },
    body: createBody(outcome, delivery.start, () => left, finish),
  }
}

const createBody = (
  outcome: Promise<Outcome>,
  start: (sink: Sink) => void,
  left: () => number,
  finish: (result: Outcome) => void,
): Body => ({
  pipeTo: async (sink) => {
    start(sink)
    const result = await outcome
    if ('error' in result) throw result.error
  },
  discard: async () => {
    const unread = left()
    if (unread === 0 || unread > maxDiscardedBytes)
      return finish({ error: toRegistryError(new Error('not wanted')) })
    const tooLong = setTimeout(() => finish({}), maxDiscardMs)
    start((_chunk, release) => release())
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
