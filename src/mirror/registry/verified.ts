/**
 * Digests of bytes, computed here and never believed.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Digest } from '../../oci/digest.ts'

const algorithmOf = (digest: Digest): string => digest.slice(0, digest.indexOf(':'))

export const hashFor = (digest: Digest): Hash => createHash(algorithmOf(digest))

export const hasDigest = (bytes: Buffer, digest: Digest): boolean =>
  isDigestOf(hashFor(digest).update(bytes), digest)

/** Ends the hash. */
export const isDigestOf = (hash: Hash, digest: Digest): boolean =>
  `${algorithmOf(digest)}:${hash.digest('hex')}` === digest

export const sha256Of = (bytes: Buffer): Digest =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
