/**
 * The options of a fill.
 */
import type { Disk } from './disk.ts'
import type { DiskQueue } from './disk-queue.ts'
import type { FillOutcome } from './fill-outcome.ts'
import type { ReadBuffers } from './read-buffers.ts'

export interface FillOptions {
  readonly digest: string
  /** Bytes, as upstream announced them. */
  readonly size: number
  /** The requester whose turns at the disk the writes take. */
  readonly requester: string
  readonly fd: number
  readonly disk: Pick<Disk, 'read' | 'write' | 'close'>
  readonly queue: DiskQueue
  readonly buffers: ReadBuffers
  /** Bytes of one write at most. */
  readonly blockBytes?: number
  /** Makes it an entry of the store. Readers do not wait for it. */
  readonly publish: () => Promise<void>
  /** Called once, when the file is complete or no longer wanted. */
  readonly onEnd: (outcome: FillOutcome, error?: unknown) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
  /** Share of the time since the fill began in which the event loop was busy, from 0 to 1. */
  readonly busyness?: () => number
  /** Milliseconds that a fill continues without a reader. */
  readonly unreadMs?: number
}
