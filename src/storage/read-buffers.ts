/**
 * Buffers that files are read into, used again and again: fresh memory for every chunk costs more than reading it.
 */

/** Half a megabyte of TLS records is written at once at most; a slow client holds one small buffer. */
const smallBytes = 64 * 1024
const largeBytes = 256 * 1024
/** Buffers that stay while nobody uses them: 4 MiB of each. */
const maxIdle = { small: 64, large: 16 }
/** Large buffers in use: 16 MiB. Readers beyond get small ones. */
const maxLarge = 64

export class ReadBuffers {
  readonly #small: Buffer[] = []
  readonly #large: Buffer[] = []
  #largeInUse = 0

  /** Never waits. What is taken has to be returned, or abandoned. */
  take(isLarge: boolean): Buffer {
    if (!isLarge || this.#largeInUse === maxLarge)
      return this.#small.pop() ?? Buffer.allocUnsafeSlow(smallBytes)
    this.#largeInUse += 1
    return this.#large.pop() ?? Buffer.allocUnsafeSlow(largeBytes)
  }

  /** To be called once: memory that is returned twice would be two readers' at a time. */
  giveBack(buffer: Buffer): void {
    const isLarge = this.#isLarge(buffer)
    const idle = isLarge ? this.#large : this.#small
    if (idle.length < (isLarge ? maxIdle.large : maxIdle.small)) idle.push(buffer)
    if (isLarge) this.#largeInUse -= 1
  }

  /** It is never used again: a read that hangs may still write into it. */
  abandon(buffer: Buffer): void {
    if (this.#isLarge(buffer)) this.#largeInUse -= 1
  }

  #isLarge(buffer: Buffer): boolean {
    return buffer.length === largeBytes
  }
}
