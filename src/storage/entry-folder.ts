/**
 * The entries of one folder of the store, as their names and times tell. A folder that cannot be read has none.
 */
import { join } from 'node:path'
import { parseEntryName } from './cache-directory.ts'
import type { Disk } from './disk.ts'
import type { DiskQueue } from './disk-queue.ts'
import type { FoundEntry } from './entry-index.ts'

export interface FolderAccess {
  readonly disk: Pick<Disk, 'list' | 'times'>
  readonly queue: DiskQueue
  /** Whose turns at the disk it takes. */
  readonly requester: string
}

/** Files that are looked at in one turn at the disk: some milliseconds. */
const namesAtOnce = 64

const namesIn = async (
  { disk, queue, requester }: FolderAccess,
  folder: string,
): Promise<readonly string[]> =>
  await queue.run(requester, async () => await disk.list(folder)).catch(() => [])

export const sizeInFolder = async (
  access: FolderAccess,
  folder: string,
  digest: string,
): Promise<number | undefined> =>
  (await namesIn(access, folder)).map(parseEntryName).find((entry) => entry?.digest === digest)?.size

export const entriesInFolder = async (
  access: FolderAccess,
  folder: string,
): Promise<readonly FoundEntry[]> => {
  const found: FoundEntry[] = []
  const names = await namesIn(access, folder)
  for (let at = 0; at < names.length; at += namesAtOnce) {
    const batch = names.slice(at, at + namesAtOnce)
    const read = async () => {
      for (const name of batch) found.push(...(await entryOf(access, folder, name)))
    }
    await access.queue.run(access.requester, read).catch(() => undefined)
  }
  return found
}

const entryOf = async (
  { disk }: FolderAccess,
  folder: string,
  name: string,
): Promise<readonly FoundEntry[]> => {
  const entry = parseEntryName(name)
  if (entry === undefined) return []
  const times = await disk.times(join(folder, name)).catch(() => undefined)
  return times === undefined ? [] : [{ ...entry, mtimeMs: times.mtimeMs }]
}
