/**
 * A pool of the buffers that bodies are read into. A new buffer for every chunk would cost more than reading it: the garbage collector
 * frees it late, and its pages are new each time.
 */

/** A buffer, and how many still need it: the body that reads into it, and every chunk of it that is not released yet. */
export interface Slab {
  readonly memory: Buffer
  holders: number
  /** It is not used again: a socket may still write into it. */
  isSpoilt: boolean
}

export interface BufferPool {
  /** Held once. It never waits: if the pool is empty, a buffer is allocated. */
  readonly take: (isLarge: boolean) => Slab
  readonly release: (slab: Slab) => void
  /** Whether one more body may read into large slabs. If so, it must call `reduce` once. */
  readonly enlarge: () => boolean
  readonly reduce: () => void
}

export interface SlabLimits {
  readonly smallBytes: number
  readonly largeBytes: number
  /** Unused slabs that the pool keeps. */
  readonly maxKept: { readonly small: number; readonly large: number }
  /** Bodies that read into large slabs at a time. */
  readonly maxLarge: number
}

/**
 * A body holds two slabs while its client is slow: one is being written, one is read into. 500 slow clients with small slabs take 32 MB,
 * 16 more with large ones 16 MB. Large ones save up to a third of the cost per byte, so fast clients get them. Four MiB of each are kept.
 */
const defaultSlabLimits: SlabLimits = {
  smallBytes: 32 * 1024,
  largeBytes: 512 * 1024,
  maxKept: { small: 128, large: 8 },
  maxLarge: 16,
}

export const createBufferPool = (limits: SlabLimits = defaultSlabLimits): BufferPool => {
  const { smallBytes, largeBytes, maxKept, maxLarge } = limits
  const small: Buffer[] = []
  const large: Buffer[] = []
  let enlarged = 0
  return {
    take: (isLarge) => ({
      memory: isLarge
        ? (large.pop() ?? Buffer.allocUnsafeSlow(largeBytes))
        : (small.pop() ?? Buffer.allocUnsafeSlow(smallBytes)),
      holders: 1,
      isSpoilt: false,
    }),
    release: (slab) => {
      slab.holders--
      if (slab.holders > 0 || slab.isSpoilt) return
      const isLarge = slab.memory.length === largeBytes
      const kept = isLarge ? large : small
      if (kept.length < (isLarge ? maxKept.large : maxKept.small)) kept.push(slab.memory)
    },
    enlarge: () => {
      if (enlarged >= maxLarge) return false
      enlarged++
      return true
    },
    reduce: () => {
      enlarged--
    },
  }
}
