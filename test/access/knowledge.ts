/** What is known of digests, for tests: by the image streams whose tags reach them. */
import { nothingKnown, type DigestKnowledge, type DigestReach } from '../../src/access/requirement.ts'
import type { Digest, ImageStream } from '../../src/oci/reference.ts'

export const reachOf = (
  imageStreams: readonly ImageStream[],
  isRestricted: (namespace: string) => boolean,
  more: Partial<DigestReach> = {},
): DigestReach => ({
  imageStreams,
  isOpen: imageStreams.some(({ namespace }) => !isRestricted(namespace)),
  isRestricted: imageStreams.some(({ namespace }) => isRestricted(namespace)),
  isUnowned: false,
  ...more,
})

export const knowing = (
  seenIn: (digest: Digest) => readonly ImageStream[],
  isRestricted: (namespace: string) => boolean,
  more: Partial<DigestKnowledge> = {},
): DigestKnowledge => ({
  ...nothingKnown,
  reachOf: (digest) => reachOf(seenIn(digest), isRestricted),
  ...more,
})
