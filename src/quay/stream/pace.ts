/**
 * How large the pieces of one body are: small at first and for a slow client, large for one that takes them as they come.
 */
import type { Slabs } from './slabs.ts'

export interface Pace {
  readonly isLarge: () => boolean
  /** A piece was written; `waitedMs` is how long upstream was not read for it. */
  readonly written: (waitedMs: number) => void
  readonly end: () => void
}

/** 1 MiB in small pieces: most manifests and many layers never need large ones. */
const quickPieces = 32
/** A client that keeps up takes a piece within some turns of the event loop; one that does not waits for the network. */
const slowMs = 10

export const createPace = (slabs: Slabs): Pace => {
  let quick = 0
  let isLarge = false
  const shrink = (): void => {
    quick = 0
    if (isLarge) slabs.reduce()
    isLarge = false
  }
  return {
    isLarge: () => isLarge,
    written: (waitedMs) => {
      if (waitedMs >= slowMs) shrink()
      else if (!isLarge && ++quick >= quickPieces) isLarge = slabs.enlarge()
    },
    end: shrink,
  }
}
