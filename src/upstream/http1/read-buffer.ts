/**
 * The memory a body is read into, and the stretches of it that are read and not yet handed over.
 */
import type { Slab, BufferPool } from './buffer-pool.ts'

/** Bytes of a slab, which is held for them. */
export interface Stretch {
  readonly slab: Slab
  readonly bytes: Buffer
}

export interface ReadBuffer {
  /** Where the next bytes go. */
  readonly room: () => Buffer
  /** So many bytes were read there; tells whether they had better be handed over now. */
  readonly filled: (bytes: number) => boolean
  /** Bytes that were read elsewhere. They fit: what is read with a head is less than a slab. */
  readonly copied: (bytes: Buffer) => boolean
  readonly isEmpty: () => boolean
  readonly next: () => Stretch | undefined
  /** Nothing is read into it any more; where that is not for sure, the memory is given up. What was read stays. */
  readonly end: (isSure: boolean) => void
  /** What was read is not wanted. */
  readonly drop: () => void
}

/** The largest TLS record holds 2^14 bytes, and is handed over by itself: less room than that is not worth a read. */
const recordBytes = 16 * 1024

/**
 * The next room is asked for only after a read, and before the slab is changed nothing else may decide where bytes go: a slab is
 * changed in `filled` alone.
 */
export const createReadBuffer = (bufferPool: BufferPool, isLarge: () => boolean): ReadBuffer => {
  let slab = bufferPool.take(isLarge())
  let start = 0
  let end = 0
  const waiting: Stretch[] = []
  const seal = (): void => {
    if (start === end) return
    slab.holders++
    waiting.push({ slab, bytes: slab.memory.subarray(start, end) })
    start = end
  }
  return {
    room: () => slab.memory.subarray(end),
    filled: (bytes) => {
      end += bytes
      const isWhole = slab.memory.length - end < recordBytes
      if (isWhole) {
        seal()
        bufferPool.release(slab)
        slab = bufferPool.take(isLarge())
        start = 0
        end = 0
      }
      return isWhole
    },
    copied: (bytes) => {
      end += bytes.copy(slab.memory, end)
      return false
    },
    isEmpty: () => start === end && waiting.length === 0,
    next: () => {
      seal()
      return waiting.shift()
    },
    // Attack: over TLS bytes are still read into the room after the connection was destroyed. In memory that is used again they
    // would end up in the middle of somebody else's image.
    end: (isSure) => {
      seal()
      slab.isSpoilt = !isSure
      bufferPool.release(slab)
    },
    drop: () => {
      for (const stretch of waiting.splice(0)) bufferPool.release(stretch.slab)
    },
  }
}
