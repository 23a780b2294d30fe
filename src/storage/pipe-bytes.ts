/**
 * Pipes the bytes of a stored or growing file to a sink, chunk by chunk, at the pace of the sink.
 */
import { onAbort } from '../concurrency/abortable.ts'
import type { ReadBuffers } from './read-buffers.ts'

/** Takes the next chunk. The sink owns its memory until it calls `release`; after that the memory is used for later chunks. */
export type ChunkSink = (chunk: Buffer, release: () => void) => void

export interface ByteSource {
  /**
   * Waits for bytes that are still being written.
   * @returns how many bytes from `position` on are in `into`; at least one
   * @throws {Error} if they cannot be read
   */
  readonly read: (into: Buffer, position: number) => Promise<number>
}

export interface PipeBytesOptions {
  readonly source: ByteSource
  readonly buffers: ReadBuffers
  /** Offset of the first byte, and of the one after the last byte. */
  readonly start: number
  readonly end: number
  readonly signal?: AbortSignal | undefined
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * A fast client takes a small chunk within some turns of the event loop, and a large chunk at the same pace. A slower client waits for its
 * network.
 */
const slowMs = 10
const slowBytes = 64 * 1024
/** After so many fast chunks, the next ones are large and read ahead. Most configs and many layers have fewer chunks. */
const quickChunks = 8

/**
 * Resolves when the last chunk was taken. The sink holds at most two chunks; a slow sink holds one small chunk.
 * @throws what the source or `sink` throws; the reason of the signal
 */
export const pipeBytes = async (options: PipeBytesOptions, sink: ChunkSink): Promise<void> =>
  await new BytePipe(options, sink).run()

class BytePipe {
  readonly #options: PipeBytesOptions
  readonly #sink: ChunkSink
  readonly #now: () => number
  /** Fast chunks since the last slow one. */
  #quick = 0
  /** Buffers that the sink holds. */
  readonly #out = new Set<Buffer>()
  #released: Promise<void> = Promise.resolve()
  /** Ends the current wait. */
  #stop!: (error: unknown) => void

  constructor(options: PipeBytesOptions, sink: ChunkSink) {
    this.#options = options
    this.#sink = sink
    this.#now = options.now ?? (() => performance.now())
  }

  async run(): Promise<void> {
    const { buffers, signal } = this.#options
    signal?.throwIfAborted()
    using _listener = onAbort(signal, () => this.#stop(signal?.reason))
    try {
      await this.#handAll()
    } catch (error) {
      for (const buffer of this.#out) buffers.abandon(buffer)
      this.#out.clear()
      throw error
    }
  }

  async #handAll(): Promise<void> {
    const { start, end } = this.#options
    for (let at = start; at < end;) {
      const isQuick = this.#quick >= quickChunks
      if (!isQuick) await this.#orAborted(this.#released)
      const { buffer, count } = await this.#next(at, isQuick)
      await this.#orAborted(this.#released)
      this.#released = this.#hand(buffer, count)
      at += count
    }
  }

  async #next(at: number, isLarge: boolean): Promise<{ readonly buffer: Buffer; readonly count: number }> {
    const { source, buffers, end } = this.#options
    const buffer = buffers.take(isLarge)
    this.#out.add(buffer)
    return { buffer, count: await this.#orAborted(source.read(buffer.subarray(0, end - at), at)) }
  }

  #hand(buffer: Buffer, count: number): Promise<void> {
    const handedAt = this.#now()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#sink(buffer.subarray(0, count), () => {
      // Attack: if memory is released twice, two readers use it at the same time.
      if (!this.#out.delete(buffer)) return
      const isQuick = this.#now() - handedAt < slowMs * Math.max(1, count / slowBytes)
      this.#quick = isQuick ? this.#quick + 1 : 0
      this.#options.buffers.giveBack(buffer)
      resolve()
    })
    return promise
  }

  /** @throws the reason of the signal as soon as it is aborted, because a client that has left releases nothing */
  async #orAborted<Value>(promise: Promise<Value>): Promise<Value> {
    this.#options.signal?.throwIfAborted()
    return await new Promise<Value>((resolve, reject) => {
      this.#stop = reject
      promise.then(resolve, reject)
    })
  }
}
