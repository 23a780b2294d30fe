/**
 * The slabs that a body is read into, and the stretches of them that are read and not delivered yet.
 */
import type { Slab, BufferPool } from './buffer-pool.ts'
import type { ChunkSize } from './chunk-size.ts'

/** Bytes of a slab. The slab is held for them. */
export interface Stretch {
  readonly slab: Slab
  readonly bytes: Buffer
}

/** The largest TLS record holds 2^14 bytes and is read by itself: less room than that is not worth a read. */
const recordBytes = 16 * 1024

/**
 * Node.js calls `room` once after each read, and writes the next bytes there, whatever happens meanwhile. So only `filled`, which runs
 * before that call, replaces the slab.
 */
export class ReadBuffer {
  readonly #bufferPool: BufferPool
  readonly #chunkSize: Pick<ChunkSize, 'isLarge'>
  readonly #waiting: Stretch[] = []
  #slab: Slab
  #start = 0
  #end = 0

  constructor(bufferPool: BufferPool, chunkSize: Pick<ChunkSize, 'isLarge'>) {
    this.#bufferPool = bufferPool
    this.#chunkSize = chunkSize
    this.#slab = bufferPool.take(chunkSize.isLarge)
  }

  /** Where the next bytes go. */
  room(): Buffer {
    return this.#slab.memory.subarray(this.#end)
  }

  /** So many bytes were read into `room`. @returns whether the slab is full: it is best delivered now */
  filled(bytes: number): boolean {
    this.#end += bytes
    const isFull = this.#slab.memory.length - this.#end < recordBytes
    if (isFull) this.#replaceSlab()
    return isFull
  }

  /** Adds bytes that were read elsewhere. They fit: what is read with a head is less than a slab. */
  copied(bytes: Buffer): boolean {
    this.#end += bytes.copy(this.#slab.memory, this.#end)
    return false
  }

  isEmpty(): boolean {
    return this.#start === this.#end && this.#waiting.length === 0
  }

  next(): Stretch | undefined {
    this.#seal()
    return this.#waiting.shift()
  }

  /**
   * No byte is read into it from now on. Undelivered bytes stay.
   * @param isSure false if the socket may still write into the slab, which is then not used again. Attack: over TLS, bytes are still read
   *   after the connection was destroyed. They would end up in the middle of somebody else's image.
   */
  end(isSure: boolean): void {
    this.#seal()
    this.#slab.isSpoilt = !isSure
    this.#bufferPool.release(this.#slab)
  }

  /** Nobody wants the undelivered bytes. */
  drop(): void {
    for (const { slab } of this.#waiting.splice(0)) this.#bufferPool.release(slab)
  }

  #replaceSlab(): void {
    this.#seal()
    this.#bufferPool.release(this.#slab)
    this.#slab = this.#bufferPool.take(this.#chunkSize.isLarge)
    this.#start = 0
    this.#end = 0
  }

  #seal(): void {
    if (this.#start === this.#end) return
    this.#slab.holders++
    this.#waiting.push({ slab: this.#slab, bytes: this.#slab.memory.subarray(this.#start, this.#end) })
    this.#start = this.#end
  }
}
