/**
 * The keys of the store. Their number is the version of the format: versions with different formats do not read each other's data.
 *
 * Open facts are in one hash for each eight hours in which they were seen, and a hash expires as a whole a day later: a field costs less
 * than a key with an expiry of its own, and a load need not scan the keys of other programs.
 */
import { createHash } from 'node:crypto'
import { openLifeMs } from '../digests/sightings.ts'
import type { RecordKind } from './fact-codec.ts'

export const prefix = 'quay-proxy:1:'

export const keys = {
  /** Changes when the store was emptied. */
  epoch: `${prefix}epoch`,
  log: `${prefix}log`,
  /** A stream of one entry, which wakes the replicas that wait for facts. */
  bell: `${prefix}bell`,
  logins: `${prefix}logins`,
  index: `${prefix}index`,
  lease: `${prefix}lease`,
  replicas: `${prefix}replicas`,
  /** Never exists. Deleting it is a write that changes nothing, and that a read-only replica refuses. */
  nothing: `${prefix}nothing`,
  restrictedTags: `${prefix}T`,
  restrictedNames: `${prefix}N`,
} as const

/** The user name is hashed, so that the store does not contain it. */
export const grantsKey = (holder: string): string =>
  `${prefix}grants:${createHash('sha256').update(holder).digest('base64url')}`

export const rateKey = (name: string): string => `${prefix}rate:${name}`

const bucketMs = 8 * 3_600_000
/** Buckets that may contain open facts, in addition to the current one. */
export const generations = openLifeMs / bucketMs + 1

export const bucketOf = (ms: number): number => Math.floor(ms / bucketMs)

/** Seconds since the epoch after which a bucket contains only expired facts. */
export const bucketEndsAt = (bucket: number): number => ((bucket + 1) * bucketMs + openLifeMs) / 1000

/**
 * Every hash that may contain facts, and their kind, in the order of a load. Tags come before names. Attack: the names of many restricted
 * manifests evict each other before a tag closes what they name. The hash of the next eight hours is for a replica whose clock is ahead. */
export const factHashes = (now: number): readonly { readonly kind: RecordKind; readonly key: string }[] => {
  const last = bucketOf(now) + 1
  const buckets = Array.from({ length: generations + 2 }, (_, index) => last - generations - 1 + index)
  return [
    { kind: 'T', key: keys.restrictedTags },
    { kind: 'N', key: keys.restrictedNames },
    // The names of an index may come after those of its manifests, which were evicted meanwhile.
    { kind: 'N', key: keys.restrictedNames },
    ...buckets.flatMap((bucket) =>
      (['n', 't'] as const).map((kind) => ({ kind, key: `${prefix}${kind}:${bucket}` })),
    ),
  ]
}
