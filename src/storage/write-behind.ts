/**
 * Buffers the bytes of a fill between upstream and the disk. They are copied into blocks, so that upstream is read while a block is
 * written. Fast readers read from these blocks, and do not wait for the disk.
 */
import type { ReadBuffers } from './read-buffers.ts'

export interface WriteBehindOptions {
  readonly buffers: ReadBuffers
  /** The largest block in bytes; the size of its buffer unless given. */
  readonly blockBytes?: number | undefined
  /**
   * Called one at a time, in order. The bytes do not change until it ends. @returns false if nothing more should be written. Never rejects
   */
  readonly write: (bytes: Buffer, position: number) => Promise<boolean>
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

interface Block {
  readonly buffer: Buffer
  /** Offset of its first byte. */
  readonly start: number
  readonly bytes: Buffer
  readonly begunAt: number
}

/** Blocks that were written, and blocks that are being written. */
const maxRecent = 2
/** Bytes per millisecond (16 MiB a second). An upstream that is this fast gets larger blocks. */
const quickPace = 16 * 1024

export class WriteBehind {
  readonly #options: WriteBehindOptions
  #filling: Block | undefined
  /** In the order of their bytes. */
  readonly #full: Block[] = []
  readonly #recent: Block[] = []
  /** Resolvers of upstream's waits. */
  #held: (() => void)[] = []
  #at = 0
  #isQuick = false
  #isWriting = false
  #isOver = false
  #settled = Promise.withResolvers<void>()

  constructor(options: WriteBehindOptions) {
    this.#options = options
    this.#settled.resolve()
  }

  /** Upstream is paused until the disk has written a block. */
  get isHolding(): boolean {
    return this.#held.length > 0
  }

  /** Takes a copy, and releases the chunk when there is room for another one. */
  add(chunk: Buffer, release: () => void): void {
    if (this.#isOver) return release()
    this.#copy(chunk)
    if (this.#full.length > 0 && !this.#isWriting) void this.#writeAll()
    if (this.#full.length === 0) return release()
    this.#held.push(release)
  }

  /** Writes what is left. Resolves when all bytes are written, or will never be. */
  async flush(): Promise<void> {
    if (this.#filling !== undefined) this.#seal(this.#filling)
    if (!this.#isWriting) void this.#writeAll()
    await this.#settled.promise
  }

  /** @returns how many bytes from `position` on it has copied; 0 if they are on the disk alone */
  read(into: Buffer, position: number): number {
    let count = 0
    for (const { start, bytes } of this.#inMemory()) {
      const from = position + count - start
      if (from >= 0 && from < bytes.length) count += bytes.copy(into, count, from)
    }
    return count
  }

  /** Nothing more is written, and nothing is read. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { buffers } = this.#options
    // A write that hangs may still read it.
    if (this.#isWriting) buffers.abandon((this.#recent.pop() as Block).buffer)
    for (const { buffer } of this.#inMemory()) buffers.giveBack(buffer)
    this.#recent.length = 0
    this.#full.length = 0
    this.#filling = undefined
    this.#releaseHeld()
    this.#settled.resolve()
  }

  /** In the order of their bytes. */
  #inMemory(): readonly Block[] {
    return [...this.#recent, ...this.#full, ...(this.#filling === undefined ? [] : [this.#filling])]
  }

  #copy(chunk: Buffer): void {
    for (let from = 0; from < chunk.length;) {
      const block = this.#filling ?? this.#nextBlock()
      const most = this.#options.blockBytes ?? block.buffer.length
      const count = chunk.copy(block.buffer, block.bytes.length, from, from + most - block.bytes.length)
      from += count
      this.#at += count
      const bytes = block.buffer.subarray(0, block.bytes.length + count)
      this.#filling = { ...block, bytes }
      if (bytes.length === most) this.#seal(this.#filling)
    }
  }

  #nextBlock(): Block {
    const buffer = this.#options.buffers.take(this.#isQuick)
    return { buffer, start: this.#at, bytes: buffer.subarray(0, 0), begunAt: this.#options.now() }
  }

  #seal(block: Block): void {
    this.#full.push(block)
    this.#isQuick = block.bytes.length >= (this.#options.now() - block.begunAt) * quickPace
    this.#filling = undefined
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true
    this.#settled = Promise.withResolvers()
    for (let block = this.#next(); block !== undefined; block = this.#next()) {
      const writing = this.#options.write(block.bytes, block.start)
      if (this.#full.length === 0) this.#releaseHeld()
      const isWritten = await writing
      if (!isWritten) this.end()
      if (this.#isOver) return
    }
    this.#isWriting = false
    this.#settled.resolve()
  }

  #next(): Block | undefined {
    const block = this.#full.shift()
    if (block === undefined) return undefined
    this.#recent.push(block)
    if (this.#recent.length > maxRecent)
      this.#options.buffers.giveBack((this.#recent.shift() as Block).buffer)
    return block
  }

  #releaseHeld(): void {
    for (const release of this.#held.splice(0)) release()
  }
}
