/**
 * digest -> the image streams it was seen in. Learnt from what was served by tag; children inherit from their parents.
 *
 * The index is bounded. Forgetting a digest that is known in open places costs a review; forgetting one that is known
 * only in restricted namespaces would open it ("a digest nobody has seen"), so those are kept apart and go last.
 */
import { LRUCache } from 'lru-cache'
import type { Digest, ImageStream } from '../reference.ts'

export interface DigestIndex {
  readonly learn: (digest: Digest, seenIn: readonly ImageStream[]) => void
  /** Where a digest was seen, most recent last; empty for one that nobody has seen. */
  readonly seenIn: (digest: Digest) => readonly ImageStream[]
}

export interface DigestIndexOptions {
  readonly isRestricted: (namespace: string) => boolean
  /** Bound on digests of either sort. */
  readonly max?: number
  /** Bound on image streams remembered per digest: a base layer may be in hundreds. */
  readonly maxPerDigest?: number
}

export const createDigestIndex = (options: DigestIndexOptions): DigestIndex => {
  const { isRestricted, max = 200_000, maxPerDigest = 64 } = options
  const open = new LRUCache<Digest, readonly ImageStream[]>({ max })
  const restricted = new LRUCache<Digest, readonly ImageStream[]>({ max })
  const streams = createInterner(max)
  const seenIn = (digest: Digest) => open.get(digest) ?? restricted.get(digest) ?? []

  /** One open place stays, however many restricted ones come after it: a base layer must not close to everybody. */
  const newest = (places: readonly ImageStream[]): readonly ImageStream[] => {
    const kept = places.slice(-maxPerDigest)
    const isOpen = ({ namespace }: ImageStream) => !isRestricted(namespace)
    const lastOpen = places.findLast(isOpen)
    return lastOpen === undefined || kept.some(isOpen) ? kept : [lastOpen, ...kept.slice(1)]
  }

  return {
    seenIn,
    learn: (digest, places) => {
      if (places.length === 0 || endsWith(seenIn(digest), places)) return
      const seenNow = new Set(places.map(streams))
      const merged = newest([...seenIn(digest).filter((place) => !seenNow.has(place)), ...seenNow])
      const isOpen = merged.some(({ namespace }) => !isRestricted(namespace))
      restricted.delete(digest)
      if (isOpen) open.set(digest, merged)
      else restricted.set(digest, merged)
    },
  }
}

/** What was learnt before, and last: nothing is new but the use of it, and looking it up was that. */
const endsWith = (known: readonly ImageStream[], places: readonly ImageStream[]): boolean => {
  const skipped = known.length - places.length
  return (
    skipped >= 0 &&
    places.every(({ namespace, name }, index) => {
      const place = known[skipped + index]
      return place?.namespace === namespace && place.name === name
    })
  )
}

/** One object per image stream, so that equal ones are identical and hundreds of thousands of digests share them. */
const createInterner = (max: number) => {
  const known = new LRUCache<string, ImageStream>({ max })
  return (imageStream: ImageStream): ImageStream => {
    const key = `${imageStream.namespace}/${imageStream.name ?? ''}`
    const same = known.get(key) ?? imageStream
    known.set(key, same)
    return same
  }
}
