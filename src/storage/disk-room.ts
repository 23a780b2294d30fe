/**
 * Room on the disk for one more file. The bound of the cache may be larger than the disk, and other programs may fill the disk.
 */
import type { Disk } from './disk.ts'
import type { DiskQueue } from './disk-queue.ts'
import type { EntryIndex } from './entry-index.ts'

export interface DiskRoomOptions {
  readonly root: string
  readonly disk: Pick<Disk, 'freeBytes'>
  readonly queue: DiskQueue
}

/** What stays free on the disk, for the tags, and for what else is on it. */
const spareBytes = 64 * 1024 * 1024

/**
 * Evicts the least recently used entries as far as the file needs it.
 * @throws {Error} ENOSPC if all of them are not enough, because the disk is full of other things: then all of them stay
 */
export const makeRoom = async (
  { root, disk, queue }: DiskRoomOptions,
  index: Pick<EntryIndex, 'bytes' | 'evict'>,
  size: number,
  requester: string,
): Promise<void> => {
  const free = await queue.run(requester, async () => await disk.freeBytes(root))
  const missing = size + spareBytes - free
  if (missing > index.bytes) throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' })
  if (missing > 0) index.evict(missing)
}
