/**
 * Memory that bodies are read into, used again and again: fresh memory for every chunk costs more than reading it (the collector
 * frees it late, and its pages are new each time).
 */

/** A stretch of memory and how many still need it: the one who reads into it, and every chunk of it that is not yet written. */
export interface Slab {
  readonly memory: Buffer
  holders: number
  /** Never used again, whoever lets go of it: something may still write into it. */
  isSpoilt: boolean
}

export interface BufferPool {
  /** Held once. Never waits: memory beyond what is kept is allocated. */
  readonly take: (isLarge: boolean) => Slab
  readonly release: (slab: Slab) => void
  /** Whether one more body may read in large slabs; if so, `reduce` is owed. */
  readonly enlarge: () => boolean
  readonly reduce: () => void
}

export interface SlabLimits {
  readonly smallBytes: number
  readonly largeBytes: number
  /** Kept while nobody needs them. */
  readonly maxKept: { readonly small: number; readonly large: number }
  /** Bodies that read in large slabs at a time. */
  readonly maxLarge: number
}

/**
 * A body holds two slabs while its client is slow: one being written, one to read into. 500 slow clients in small slabs are 32 MB,
 * and 16 more in large ones 8 MB. Large ones save a fifth of the cost per byte, so they are for the fast. Four MiB of each are kept.
 */
const defaultClientLimits: SlabLimits = {
  smallBytes: 32 * 1024,
  largeBytes: 256 * 1024,
  maxKept: { small: 128, large: 16 },
  maxLarge: 16,
}

export const createBufferPool = (limits: SlabLimits = defaultClientLimits): BufferPool => {
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
