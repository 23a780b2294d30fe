/**
 * Removes the objects of an image from S3 for an operator: through a running proxy, or from a command while none runs.
 */
import type { EntryKind } from '../cache-directory.ts'
import { objectKey } from './object-key.ts'
import type { ObjectStore } from './object-store.ts'

/** Never rejects. */
export type Purge = (kind: EntryKind, digest: string) => Promise<'removed' | 'absent' | 'failed'>

/** Objects. */
export interface Purged {
  readonly removed: number
  readonly failed: number
}

const kinds = ['blobs', 'manifests'] as const
/** Milliseconds for one request. */
const defaultDeadlineMs = 10_000

/** One after the other: nobody's pull waits behind a hundred of them. */
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

/** Without a proxy. */
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
