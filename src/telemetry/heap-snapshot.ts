/**
 * Heap snapshots, for somebody who looks for a memory leak. A snapshot holds every secret of the process.
 */
import { open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { getHeapSnapshot } from 'node:v8'
import type { Logger } from './logging.ts'

export interface HeapSnapshotOptions {
  /** Undefined if no snapshot is to be written. */
  readonly directory: string | undefined
  readonly logger: Pick<Logger, 'info' | 'error'>
  readonly snapshot?: typeof getHeapSnapshot
}

/**
 * @returns writes one snapshot; never rejects. V8 makes it in one step, which blocks the process for seconds and takes as much memory
 * again. So only one is made at a time.
 */
export const createHeapSnapshots = (options: HeapSnapshotOptions): (() => Promise<void>) => {
  const { directory, logger } = options
  let isWriting = false
  return async () => {
    if (directory === undefined || isWriting) {
      const reason = isWriting ? 'another one is being written' : '--heap-snapshot-dir is not given'
      logger.info({ reason }, 'no heap snapshot')
      return
    }
    isWriting = true
    try {
      await write(directory, options)
    } catch (error) {
      logger.error({ err: error }, 'heap snapshot failed')
    } finally {
      isWriting = false
    }
  }
}

const write = async (
  directory: string,
  { logger, snapshot = getHeapSnapshot }: HeapSnapshotOptions,
): Promise<void> => {
  const path = join(directory, `quay-proxy-${new Date().toISOString().replaceAll(':', '-')}.heapsnapshot`)
  // Attack: a file or a link of this name, which another user of the directory has made, to read the snapshot.
  const file = await open(path, 'wx', 0o600)
  try {
    const bytes = await fill(file, snapshot)
    logger.info({ path, bytes }, 'heap snapshot written')
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

const fill = async (file: FileHandle, snapshot: typeof getHeapSnapshot): Promise<number> => {
  const stream = file.createWriteStream()
  await pipeline(snapshot(), stream)
  return stream.bytesWritten
}
