/**
 * Removes the objects of an image from S3 for an operator. It is used by a running proxy, and by the command if no proxy runs.
 */
import type { EntryKind } from '../cache-directory.ts'
import { objectKey } from './object-key.ts'
import type { ObjectStore } from './object-store.ts'

/** Never rejects. */
export type Purge = (kind: EntryKind, digest: string) => Promise<'removed' | 'absent' | 'failed'>

/** Numbers of objects. */
export interface Purged {
  readonly removed: number
  readonly failed: number
}

const kinds = ['blobs', 'manifests'] as const
/** Milliseconds for one request. */
const defaultDeadlineMs = 10_000

/** One after the other, so that no pull waits behind a hundred removals. */
export const purgeAll = async (digests: readonly string[], purge: Purge): Promise<Purged> => {
  const counts = { removed: 0, failed: 0, absent: 0 }
  for (const digest of digests) for (const kind of kinds) counts[await purge(kind, digest)] += 1
  return { removed: counts.removed, failed: counts.failed }
}

export interface PurgeFromOptions {
  readonly store: Pick<ObjectStore, 'sizeOf' | 'remove'>
  readonly prefix: string
  readonly onError: (error: unknown) => void
  readonly deadlineMs?: number
}

/** For the command, without a proxy. */
export const purgeFrom =
  ({ store, prefix, onError, deadlineMs = defaultDeadlineMs }: PurgeFromOptions): Purge =>
  async (kind, digest) => {
    const key = objectKey(prefix, kind, digest)
    try {
      if ((await store.sizeOf(key, AbortSignal.timeout(deadlineMs))) === undefined) return 'absent'
      await store.remove(key, AbortSignal.timeout(deadlineMs))
      return 'removed'
    } catch (error) {
      onError(error)
      return 'failed'
    }
  }
