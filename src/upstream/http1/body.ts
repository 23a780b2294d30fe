/**
 * The body of a response as it comes off a connection: exactly Content-Length bytes, delivered no faster than the sink takes them.
 */
import { onAbort } from '../../concurrency/abortable.ts'
import { toRegistryError } from '../errors.ts'
import { ReadBuffer } from './read-buffer.ts'
import { Delivery } from './delivery.ts'
import { ChunkSize } from './chunk-size.ts'
import type { Reader } from './reader.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { Body, Sink } from '../../oci/image-source.ts'

/** Bytes of an unwanted body (of a redirect or an error) that are read. The connection of a longer one is closed. */
export const maxDiscardedBytes = 64 * 1024
/** Milliseconds for which a client waits until such a body is read. */
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
    /** The response has been read. `isClean`: no byte came after it. */
    readonly done: (isClean: boolean) => void
    readonly close: () => void
  }
}

/**
 * A write costs about the same for one TLS record as for sixteen. So read bytes wait for more: until a slab is full, or for so many
 * milliseconds. The first and the last bytes of a body never wait.
 */
const gatherMs = 1

/** One for all: every redirect of a blob has such a body, and a stack trace costs more than the rest of it. */
const notWanted = toRegistryError(new Error('not wanted'))

interface Outcome {
  /** Absent if every byte was delivered. */
  readonly error?: unknown
}

export class StreamedBody implements Body, Reader {
  readonly #connection: BodyOptions['connection']
  readonly #chunkSize: ChunkSize
  readonly #readBuffer: ReadBuffer
  readonly #delivery: Delivery
  readonly #outcome = Promise.withResolvers<Outcome>()
  readonly #listener: Disposable | undefined
  /** Bytes that are not read yet. */
  #left: number
  #isFinished = false
  #isFirst = true
  #isGathering = false

  constructor({ bufferPool, connection, contentLength, signal, now }: BodyOptions) {
    this.#connection = connection
    this.#left = contentLength
    this.#chunkSize = new ChunkSize(bufferPool)
    this.#readBuffer = new ReadBuffer(bufferPool, this.#chunkSize)
    this.#delivery = new Delivery(this.#readBuffer, {
      isComplete: () => this.#left === 0,
      pause: () => connection.pause(),
      resume: () => connection.resume(),
      onReleased: ({ slab }, waitedMs) => {
        bufferPool.release(slab)
        this.#chunkSize.released(waitedMs)
      },
      onThrown: (error) => this.#finish({ error }),
      onDelivered: () => this.#finish({}),
      now,
    })
    this.#listener = onAbort(signal, () => this.#finish({ error: toRegistryError(signal?.reason) }))
  }

  async pipeTo(sink: Sink): Promise<void> {
    this.#delivery.start(sink)
    const result = await this.#outcome.promise
    if ('error' in result) throw result.error
  }

  async discard(): Promise<void> {
    if (this.#left === 0 || this.#left > maxDiscardedBytes) return this.#finish({ error: notWanted })
    const tooLong = setTimeout(() => this.#finish({}), maxDiscardMs)
    this.#delivery.start((_chunk, release) => release())
    await this.#outcome.promise
    return clearTimeout(tooLong)
  }

  /** Takes the bytes that were read together with the head. False stops the reading until somebody wants the body. */
  begin(bytes: Buffer): boolean {
    const wanted = Math.min(bytes.length, this.#left)
    return this.#added(bytes.length, wanted, this.#readBuffer.copied(bytes.subarray(0, wanted)))
  }

  room(): Buffer {
    return this.#readBuffer.room()
  }

  received(bytes: number): boolean {
    const wanted = Math.min(bytes, this.#left)
    return this.#added(bytes, wanted, this.#readBuffer.filled(wanted))
  }

  stalled(): void {
    if (this.#delivery.isPaused) return
    this.#finish({ error: toRegistryError(new DOMException('no body', 'TimeoutError')) })
  }

  lost(error: Error): void {
    this.#finish({ error: toRegistryError(error) })
  }

  #added(read: number, wanted: number, isSlabFull: boolean): boolean {
    this.#left -= wanted
    if (this.#left === 0) {
      this.#readBuffer.end(true)
      this.#connection.done(read === wanted)
    }
    if (isSlabFull || this.#isFirst || this.#left === 0) this.#delivery.flow()
    else this.#flowSoon()
    this.#isFirst &&= read === 0
    return this.#left === 0 || !this.#delivery.isPaused
  }

  #flowSoon(): void {
    if (!this.#isGathering) setTimeout(this.#flowNow, gatherMs)
    this.#isGathering = true
  }

  readonly #flowNow = (): void => {
    this.#isGathering = false
    this.#delivery.flow()
  }

  /** The first call counts. */
  #finish(result: Outcome): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#outcome.resolve(result)
    this.#listener?.[Symbol.dispose]()
    this.#delivery.stop()
    this.#chunkSize.end()
    const isCut = this.#left > 0
    this.#left = 0
    // `end` before `drop`: a sink that comes only now gets the error, and no chunk before it.
    if (isCut) this.#readBuffer.end(false)
    this.#readBuffer.drop()
    if (isCut) this.#connection.close()
  }
}
