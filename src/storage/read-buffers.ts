/**
 * Buffers that files are read into, used again and again: fresh memory for every chunk costs more than reading it.
 */

/**
 * Sizes, the largest first. Each disk operation and each write to a socket has a fixed cost, so a fast reader gets the largest free buffer.
 * A slow client holds a smallest one.
 */
const sizes = [
  { bytes: 1024 * 1024, maxInUse: 16, maxIdle: 4 },
  { bytes: 256 * 1024, maxInUse: 64, maxIdle: 16 },
  { bytes: 64 * 1024, maxInUse: Infinity, maxIdle: 64 },
] as const

class SizeClass {
  readonly bytes: number
  readonly #maxInUse: number
  readonly #maxIdle: number
  readonly #idle: Buffer[] = []
  #inUse = 0

  constructor({ bytes, maxInUse, maxIdle }: (typeof sizes)[number]) {
    this.bytes = bytes
    this.#maxInUse = maxInUse
    this.#maxIdle = maxIdle
  }

  get hasRoom(): boolean {
    return this.#inUse < this.#maxInUse
  }

  take(): Buffer {
    this.#inUse += 1
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.bytes)
  }

  giveBack(buffer: Buffer): void {
    this.#inUse -= 1
    if (this.#idle.length < this.#maxIdle) this.#idle.push(buffer)
  }

  abandon(): void {
    this.#inUse -= 1
  }
}

export class ReadBuffers {
  readonly #classes = sizes.map((size) => new SizeClass(size))

  /** Never waits. Each buffer that is taken must be given back or abandoned. */
  take(isLarge: boolean): Buffer {
    const free = this.#classes.filter(({ hasRoom }) => hasRoom)
    // The smallest size has no bound.
    return (free.at(isLarge ? 0 : -1) as SizeClass).take()
  }

  /** Call this once: if memory is returned twice, two readers use it at the same time. */
  giveBack(buffer: Buffer): void {
    this.#classOf(buffer).giveBack(buffer)
  }

  /** The buffer is not used again, because a read that hangs may still write into it. */
  abandon(buffer: Buffer): void {
    this.#classOf(buffer).abandon()
  }

  #classOf(buffer: Buffer): SizeClass {
    return this.#classes.find(({ bytes }) => bytes === buffer.length) as SizeClass
  }
}
