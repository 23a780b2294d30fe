/**
 * The keys of the store. The number is that of the format: a version that writes another one does not meet what this one wrote.
 *
 * Open facts are held in hashes by the eight hours in which they were seen, each of which ends as a whole a day later: a field
 * costs less than a key with a life of its own, and is loaded without looking at the keys of others.
 */
import { createHash } from 'node:crypto'
import { openLifeMs } from '../digests/sightings.ts'
import type { RecordKind } from './fact-codec.ts'

export const prefix = 'quay-proxy:1:'

export const keys = {
  /** Names this life of the store: another one after it was emptied. */
  epoch: `${prefix}epoch`,
  log: `${prefix}log`,
  /** A stream of one entry that wakes those who follow. */
  bell: `${prefix}bell`,
  logins: `${prefix}logins`,
  index: `${prefix}index`,
  lease: `${prefix}lease`,
  replicas: `${prefix}replicas`,
  /** Never there: to delete it is a write that changes nothing, and that a read-only replica refuses. */
  nothing: `${prefix}nothing`,
  restrictedTags: `${prefix}T`,
  restrictedNames: `${prefix}N`,
} as const

/** The store is not told who that is. */
export const grantsKey = (holder: string): string =>
  `${prefix}grants:${createHash('sha256').update(holder).digest('base64url')}`

export const rateKey = (name: string): string => `${prefix}rate:${name}`

const bucketMs = 8 * 3_600_000
/** Buckets that may hold open facts, beside the one of now. */
export const generations = openLifeMs / bucketMs + 1

export const bucketOf = (ms: number): number => Math.floor(ms / bucketMs)

/** Seconds since 1970 at which a bucket has nothing of use any more. */
export const bucketEndsAt = (bucket: number): number => ((bucket + 1) * bucketMs + openLifeMs) / 1000

/** Every hash that may hold facts, with the kind of them. The one of the next eight hours is for a replica whose clock is ahead. */
export const factHashes = (now: number): readonly { readonly kind: RecordKind; readonly key: string }[] => {
  const last = bucketOf(now) + 1
  const buckets = Array.from({ length: generations + 2 }, (_, index) => last - generations - 1 + index)
  return [
    { kind: 'N', key: keys.restrictedNames },
    { kind: 'T', key: keys.restrictedTags },
    ...buckets.flatMap((bucket) =>
      (['n', 't'] as const).map((kind) => ({ kind, key: `${prefix}${kind}:${bucket}` })),
    ),
  ]
}
