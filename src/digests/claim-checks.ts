/**
 * What restricted namespaces claim to hold, until it is checked. Any editor of a project can write the status of its ImageStreams, so a
 * claim opens nothing; but promotion writes it at the same time as the tag of QCI, and the tag may not be followed yet: until it is, the
 * digest is closed. Only a namespace that has tags in QCI can close by a claim.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import type { Digest, QciTag } from '../oci/reference.ts'
import { qciTagOf, type ClaimedTag } from './image-stream-claims.ts'

export interface ClaimChecksOptions {
  readonly claimsOf: (digest: Digest) => readonly ClaimedTag[]
  readonly isRestricted: (namespace: string) => boolean
  readonly hasTagsOf: (namespace: string) => boolean
  /** Whether all that restricted tags reach is known, replaced images among it: then a tag that gives something else refutes a claim. */
  readonly isWhole: () => boolean
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export interface ClaimChecks {
  /** Whether a claim that is not checked closes it. */
  readonly isClaimed: (digest: Digest) => boolean
  /** The tags of restricted namespaces that claim it, and may close it. */
  readonly closingClaims: (digest: Digest) => readonly QciTag[]
  /** Resolves the tags that claim it. */
  readonly check: (digest: Digest, fetch: (tag: QciTag) => Promise<unknown>) => Promise<void>
}

/** How long a claim that was not right is taken for wrong: a tag may move to what it claims. */
const refutedMs = 10 * 60_000
const maxChecked = 8
const maxRefuted = 100_000

export const createClaimChecks = (options: ClaimChecksOptions): ClaimChecks => {
  const { claimsOf, isRestricted, hasTagsOf, isWhole, now = () => performance.now() } = options
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
      // Closed by more claims than are checked, or by one that an image which was replaced may stand behind, it stays closed.
      if (tags.length <= maxChecked && isWhole()) refuted.set(digest, true)
    },
  }
}
