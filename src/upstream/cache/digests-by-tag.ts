/**
 * tag -> digest, as upstream said last, for each Accept set. Known tags are served for a short life without a question, and for a
 * longer one where upstream has no answer.
 */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../../oci/reference.ts'

export interface KnownTagsOptions {
  /** Milliseconds for which a tag is taken to stay where it was seen. */
  readonly tagTtlMs: number
  /** Milliseconds since upstream last said where it is for which it is served while upstream has trouble. */
  readonly staleIfErrorMs: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

export interface SeenTag {
  readonly digest: Digest
  /** Else upstream is to be asked first. */
  readonly isFresh: boolean
  /** Upstream has just had no answer: it is not to be asked again yet. */
  readonly isFailing: boolean
}

export interface KnownTags {
  /** Undefined for a tag that is not known, or was for longer than it may be served. */
  readonly get: (key: string) => SeenTag | undefined
  /** @param askedAt when upstream was asked: it may have moved while the answer was on its way */
  readonly confirm: (key: string, digest: Digest, askedAt: number) => void
  readonly failed: (key: string) => void
  readonly forget: (key: string) => void
  readonly size: () => number
}

interface Entry {
  readonly digest: Digest
  readonly confirmedAt: number
  /** When upstream may be asked again after a failure. */
  retryAt: number
}

/**
 * Bound on tags times Accept sets. About 350 bytes each, 7 MB: more than are pulled within an hour, which is what a tag is
 * served stale for.
 */
const maxTags = 20_000
/** Milliseconds. A dead upstream is not asked by every request, and its return is noticed soon. */
const retryMs = 1000

export const createKnownTags = ({ tagTtlMs, staleIfErrorMs, now }: KnownTagsOptions): KnownTags => {
  const tags = new LRUCache<string, Entry>({ maxSize: maxTags, sizeCalculation: () => 1 })
  return {
    get: (key) => {
      const entry = tags.get(key)
      if (entry === undefined) return undefined
      const time = now()
      const age = time - entry.confirmedAt
      const isFresh = age < tagTtlMs
      if (!isFresh && age >= staleIfErrorMs) return undefined
      return { digest: entry.digest, isFresh, isFailing: time < entry.retryAt }
    },
    confirm: (key, digest, askedAt) => {
      tags.set(key, { digest, confirmedAt: askedAt, retryAt: -Infinity })
    },
    failed: (key) => {
      const entry = tags.peek(key)
      if (entry !== undefined) entry.retryAt = now() + retryMs
    },
    forget: (key) => void tags.delete(key),
    size: () => tags.size,
  }
}
