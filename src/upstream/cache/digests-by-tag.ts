/**
 * The last digest of each tag at upstream, for each Accept set. A cached tag is served for a short time without a request, and for a longer
 * time while upstream fails.
 */
import { createBoundedCache } from '../../concurrency/bounded-cache.ts'
import type { Digest } from '../../oci/reference.ts'

export interface DigestsByTagOptions {
  /** Milliseconds for which a tag is assumed not to move. */
  readonly tagTtlMs: number
  /** Milliseconds since upstream last confirmed a tag for which it is served while upstream fails. */
  readonly staleIfErrorMs: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

export interface CachedTag {
  readonly digest: Digest
  /** Milliseconds, monotonic. */
  readonly confirmedAt: number
  /** If false, it must be confirmed with upstream first. */
  readonly isFresh: boolean
  /** Upstream has just failed: no request is sent to it yet. */
  readonly isFailing: boolean
}

export interface DigestsByTag {
  /** @returns undefined for a tag that is not cached, or for longer than it may be served */
  readonly get: (key: string) => CachedTag | undefined
  /** @param sentAt when the request was sent: the tag may have moved while the response was on its way */
  readonly confirm: (key: string, digest: Digest, sentAt: number) => void
  readonly failed: (key: string) => void
  readonly delete: (key: string) => void
  readonly size: () => number
}

interface Entry {
  readonly digest: Digest
  readonly confirmedAt: number
  /** When the next request to upstream may be sent after a failure. */
  retryAt: number
}

/** @param acceptKey the key of the Accept set: upstream may answer each set with another digest */
export const tagKey = (reference: string, acceptKey: string): string => `${reference} ${acceptKey}`

/**
 * Bound on tags times Accept sets. About 350 bytes each, 7 MB: more than are pulled within an hour, which is how long a tag is served
 * stale.
 */
const maxTags = 20_000
/** Milliseconds. Not every request waits for an upstream that is down, and its recovery is noticed soon. */
const retryMs = 1000

export const createDigestsByTag = ({ tagTtlMs, staleIfErrorMs, now }: DigestsByTagOptions): DigestsByTag => {
  const tags = createBoundedCache<string, Entry>(maxTags)
  return {
    get: (key) => {
      const entry = tags.get(key)
      if (entry === undefined) return undefined
      const { digest, confirmedAt, retryAt } = entry
      const time = now()
      const age = time - confirmedAt
      const isFresh = age < tagTtlMs
      if (!isFresh && age >= staleIfErrorMs) return undefined
      return { digest, confirmedAt, isFresh, isFailing: time < retryAt }
    },
    confirm: (key, digest, sentAt) => {
      tags.set(key, { digest, confirmedAt: sentAt, retryAt: -Infinity })
    },
    failed: (key) => {
      const entry = tags.peek(key)
      if (entry !== undefined) entry.retryAt = now() + retryMs
    },
    delete: (key) => void tags.delete(key),
    size: () => tags.size,
  }
}
