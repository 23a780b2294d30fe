/**
 * Lists the entries of one folder of the store, by file names and times. A folder that cannot be read has none.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseEntryName } from './cache-directory.ts'
import type { Disk } from './disk.ts'
import type { DiskQueue } from './disk-queue.ts'
import type { FoundEntry } from './entry-index.ts'

export interface FolderAccess {
  readonly disk: Pick<Disk, 'list' | 'times'>
  readonly queue: DiskQueue
  /** The requester whose turns at the disk this takes. */
  readonly requester: string
}

export interface PatientAccess extends FolderAccess {
  /** Aborted: no further wait for a disk that does not answer. */
  readonly signal: AbortSignal
  /** Milliseconds until a disk that did not answer is tried again. */
  readonly retryMs?: number
}

/** Files of one turn at the disk, which takes some milliseconds. */
const namesAtOnce = 64
const defaultRetryMs = 500

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

/** Waits for a disk that does not answer, because entries that are not found now would stay on the disk, uncounted and unused. */
export const entriesInFolder = async (
  access: PatientAccess,
  folder: string,
): Promise<readonly FoundEntry[]> => {
  const found: FoundEntry[] = []
  const names = await patiently(access, async () => await access.disk.list(folder))
  for (let at = 0; at < names.length; at += namesAtOnce) {
    const batch = names.slice(at, at + namesAtOnce)
    const read = async () => {
      const entries: FoundEntry[] = []
      for (const name of batch) entries.push(...(await entryOf(access, folder, name)))
      return entries
    }
    found.push(...(await patiently(access, read)))
  }
  return found
}

/** @returns nothing of a folder that cannot be read */
const patiently = async <Item>(
  { queue, requester, signal, retryMs = defaultRetryMs }: PatientAccess,
  operation: () => Promise<readonly Item[]>,
): Promise<readonly Item[]> => {
  for (;;) {
    const found = await queue.run(requester, operation).catch((error: unknown) => error as Error)
    if (!(found instanceof Error)) return found
    if (signal.aborted || found.name !== 'DiskTooSlow') return []
    await sleep(retryMs, undefined, { ref: false })
  }
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
