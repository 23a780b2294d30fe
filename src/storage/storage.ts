/**
 * Opens a cache directory with all its parts: blobs, manifests, and the last known digests of tags.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openCacheDirectory } from './cache-directory.ts'
import { ContentStore } from './content-store.ts'
import { systemDisk, type Disk } from './disk.ts'
import { DiskQueue } from './disk-queue.ts'
import { DocumentStore } from './documents.ts'
import { KeyJournal } from './key-journal.ts'
import { ReadBuffers } from './read-buffers.ts'
import type { StoreObservers } from './store-observers.ts'

export interface StorageOptions {
  readonly directory: string
  /** Bound on the bytes of all entries together. */
  readonly maxBytes: number
  readonly observe: StoreObservers & {
    /** For the log. */
    readonly warning: (message: string) => void
  }
  readonly disk?: Disk
}

export interface Storage {
  readonly blobs: ContentStore
  readonly manifests: DocumentStore
  readonly tags: KeyJournal
  readonly buffers: ReadBuffers
  /** Whether the disk answers in time. */
  readonly isStuck: () => boolean
  /** Reads the entries of an earlier run of the program. Never rejects. */
  readonly load: (signal: AbortSignal) => Promise<void>
  readonly close: () => Promise<void>
}

/** The share of the bytes for manifests. An image has some kilobytes of manifests, and hundreds of megabytes of blobs. */
const manifestShare = 1 / 20
/** Milliseconds for a flush: a gigabyte in the page cache of the kernel may take long to reach the disk. */
const flushDeadlineMs = 120_000

/** Milliseconds for unfinished writes at the end. Content that is not on the disk by then is fetched again later. */
const maxCloseMs = 5000

/** @throws {Error} if another process has the directory, it is of another version, or it cannot be written to */
export const openStorage = ({ directory, maxBytes, observe, disk = systemDisk }: StorageOptions): Storage => {
  const { path: root, close } = openCacheDirectory(directory)
  const queue = new DiskQueue()
  const flushes = new DiskQueue({ maxRunning: 1, deadlineMs: flushDeadlineMs })
  const manifestBytes = Math.ceil(maxBytes * manifestShare)
  const buffers = new ReadBuffers()
  const shared = { root, disk, queue, flushes, buffers, observe }
  const blobs = new ContentStore({ ...shared, kind: 'blobs', maxBytes: maxBytes - manifestBytes })
  const manifests = new ContentStore({ ...shared, kind: 'manifests', maxBytes: manifestBytes })
  const tags = new KeyJournal({ path: join(root, 'tags'), queue: flushes, onWarning: observe.warning })
  return {
    blobs,
    manifests: new DocumentStore(manifests),
    tags,
    buffers,
    isStuck: () => queue.isStuck,
    load: async (signal) => {
      // Manifests are few and small, and every pull begins with them.
      await manifests.load(signal)
      await blobs.load(signal)
    },
    close: async () => {
      const published = Promise.all([blobs.published(), manifests.published(), tags.close()])
      await Promise.race([published, sleep(maxCloseMs, undefined, { ref: false })])
      close()
    },
  }
}
