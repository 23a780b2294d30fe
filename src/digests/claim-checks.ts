/**
 * Claims of restricted namespaces that are not checked yet. A claim closes its digest until the tag of QCI that it names was resolved:
 * promotion writes the ImageStream and the tag at the same time, and the index may not have followed the tag yet.
 *
 * Attack: any editor of a project can write the status of its ImageStreams. So a claim opens nothing, and only a namespace that has tags
 * in QCI can close a digest by a claim.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import type { Digest, QciTag } from '../oci/reference.ts'
import { qciTagOf, type ClaimedTag } from './image-stream-claims.ts'

export interface ClaimChecksOptions {
  readonly claimsOf: (digest: Digest) => readonly ClaimedTag[]
  readonly isRestricted: (namespace: string) => boolean
  readonly hasTagsOf: (namespace: string) => boolean
  /** Whether all restricted tags were followed, dated copies too: see `RestrictedIndex`. Only then does a tag that gives another digest refute a claim. */
  readonly hasFollowedAll: () => boolean
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export interface ClaimChecks {
  /** Whether an unchecked claim closes the digest. */
  readonly isClaimed: (digest: Digest) => boolean
  /** The tags of restricted namespaces that claim the digest and can close it. */
  readonly closingClaims: (digest: Digest) => readonly QciTag[]
  /** Resolves the tags that claim the digest. @throws what `fetch` throws */
  readonly check: (digest: Digest, fetch: (tag: QciTag) => Promise<unknown>) => Promise<void>
}

/** How long a refuted claim counts as wrong. After that it is checked again, because the tag may have moved. */
const refutedMs = 10 * 60_000
const maxChecked = 8
const maxRefuted = 100_000

export const createClaimChecks = (options: ClaimChecksOptions): ClaimChecks => {
  const { claimsOf, isRestricted, hasTagsOf, hasFollowedAll, now = () => performance.now() } = options
  const refuted = createBoundedCache<Digest, true>(maxRefuted, { ttlMs: refutedMs, now })
  const closingClaims = (digest: Digest): readonly QciTag[] =>
    claimsOf(digest)
      .filter(({ namespace }) => isRestricted(namespace) && hasTagsOf(namespace))
      .map(qciTagOf)
  return {
    closingClaims,
    isClaimed: (digest) => closingClaims(digest).length > 0 && !refuted.has(digest),
    check: async (digest, fetch) => {
      const tags = closingClaims(digest)
      if (tags.length === 0 || refuted.has(digest)) return
      for (const tag of tags.slice(0, maxChecked)) await fetch(tag)
      // With more claims than are checked, or before replaced images are known, the digest stays closed.
      if (tags.length <= maxChecked && hasFollowedAll()) refuted.set(digest, true)
    },
  }
}
