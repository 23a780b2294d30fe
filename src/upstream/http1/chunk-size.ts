/**
 * How large the chunks of one body are: small at first and for a slow client, large for a client that keeps up.
 */
import type { BufferPool } from './buffer-pool.ts'

/** 1 MiB in small chunks: most manifests and many layers never need large ones. */
const quickChunks = 32
/** Milliseconds. A client that keeps up takes a chunk within some turns of the event loop; a slower one waits for its network. */
const slowMs = 10

export class ChunkSize {
  readonly #bufferPool: Pick<BufferPool, 'enlarge' | 'reduce'>
  #quick = 0
  #isLarge = false

  constructor(bufferPool: Pick<BufferPool, 'enlarge' | 'reduce'>) {
    this.#bufferPool = bufferPool
  }

  get isLarge(): boolean {
    return this.#isLarge
  }

  /** The client has taken a chunk. `waitedMs`: for so long upstream was not read because of it. */
  released(waitedMs: number): void {
    if (waitedMs >= slowMs) this.end()
    else if (!this.#isLarge && ++this.#quick >= quickChunks) this.#isLarge = this.#bufferPool.enlarge()
  }

  end(): void {
    this.#quick = 0
    if (this.#isLarge) this.#bufferPool.reduce()
    this.#isLarge = false
  }
}
