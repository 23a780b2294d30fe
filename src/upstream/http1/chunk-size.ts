/**
 * How large the chunks of one body are: small at first and for a slow client, large for one that takes them as they come.
 */
import type { BufferPool } from './buffer-pool.ts'

export interface ChunkSize {
  readonly isLarge: () => boolean
  /** A chunk was written; `waitedMs` is how long upstream was not read for it. */
  readonly written: (waitedMs: number) => void
  readonly end: () => void
}

/** 1 MiB in small chunks: most manifests and many layers never need large ones. */
const quickPieces = 32
/** A client that keeps up takes a chunk within some turns of the event loop; one that does not waits for the network. */
const slowMs = 10

export const createChunkSize = (bufferPool: BufferPool): ChunkSize => {
  let quick = 0
  let isLarge = false
  const shrink = (): void => {
    quick = 0
    if (isLarge) bufferPool.reduce()
    isLarge = false
  }
  return {
    isLarge: () => isLarge,
    written: (waitedMs) => {
      if (waitedMs >= slowMs) shrink()
      else if (!isLarge && ++quick >= quickPieces) isLarge = bufferPool.enlarge()
    },
    end: shrink,
  }
}
