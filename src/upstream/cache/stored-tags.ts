/**
 * The last digest of each tag at upstream, kept over a restart. A restart does not reset a tag's age.
 */
import { steadyWallClock } from '../../concurrency/clock.ts'
import { isDigest } from '../../oci/reference.ts'
import type { KeyJournal } from '../../storage/key-journal.ts'
import type { DigestsByTag } from './digests-by-tag.ts'

export interface StoredTagsOptions {
  readonly journal: Pick<KeyJournal, 'get' | 'set' | 'delete'>
  /** Milliseconds, monotonic: the clock of the tags in memory. */
  readonly now: () => number
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number
}

export const createStoredTags = (
  tags: DigestsByTag,
  { journal, now, wallClock = steadyWallClock }: StoredTagsOptions,
): DigestsByTag => ({
  ...tags,
  get: (key) => {
    const known = tags.get(key)
    const stored = known === undefined ? journal.get(key) : undefined
    if (stored === undefined || !isDigest(stored.value)) return known
    const ageMs = Math.max(0, wallClock() - stored.time)
    tags.confirm(key, stored.value, now() - ageMs)
    return tags.get(key)
  },
  confirm: (key, digest, sentAt) => {
    tags.confirm(key, digest, sentAt)
    journal.set(key, digest)
  },
  delete: (key) => {
    tags.delete(key)
    journal.delete(key)
  },
})
