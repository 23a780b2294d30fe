/**
 * digest -> the tags of ImageStreams of app.ci that claim to be it. Any editor of a project can write the status of an ImageStream, so a
 * claim is no evidence: it tells which tag of QCI to resolve, and the claim of a restricted namespace closes a digest until it is checked.
 *
 * A digest is held as its 32 bytes in a one-byte string, and stands for its only image stream without an array in between. Measured
 * (`node --expose-gc test/bench/image-stream-claims.ts`): 500,000 digests of 10,000 streams take 95 bytes each, 46 MiB in all; 196
 * where every other one is in two streams, 94 MiB. Derived: the string 48, its entry in the Map 33 (three words, half a word for
 * buckets, 2^19 slots), the reference of its stream 8, and what is around them; a second stream adds a string, and an array of two.
 */
import { isQciTag, tagPrefixOf, type Digest, type ImageStream, type QciTag } from '../reference.ts'
import { keyOf as digestKeyOf } from './digest-key.ts'

/** One tag of an ImageStream, as its status tells it. */
export interface Claim {
  readonly digest: Digest
  readonly tag: string
}

/** A tag of an ImageStream that is said to be, or to have been, a digest. */
export interface ClaimedTag {
  readonly namespace: string
  readonly name: string
  readonly tag: string
}

export interface ImageStreamClaims {
  /** What an image stream claims now, whatever it claimed before. */
  readonly put: (imageStream: Required<ImageStream>, claims: Iterable<Claim>) => void
  readonly remove: (imageStream: Required<ImageStream>) => void
  /** Forgets every image stream but these, by `keyOf`: what a complete list does not hold was deleted. */
  readonly retain: (keys: ReadonlySet<string>) => void
  /** Which tags claim to be it. */
  readonly of: (digest: Digest) => readonly ClaimedTag[]
  readonly counts: () => ClaimCounts
}

export interface ClaimCounts {
  readonly digests: number
  readonly imageStreams: number
  /** Digests that image streams name and that found no room, each counted once for each of its streams. */
  readonly notIndexed: number
}

export interface ImageStreamClaimsOptions {
  readonly isRestricted: (namespace: string) => boolean
  /**
   * Bound on what is held: a digest in two image streams counts twice. Beyond it nothing is forgotten, and what comes is left out.
   * Restricted namespaces have as much room again, which others cannot fill.
   */
  readonly max?: number
  /** Called when something is left out where all found room before, and when all finds room again. */
  readonly onFull?: (full: boolean) => void
}

interface Held {
  readonly imageStream: Required<ImageStream>
  readonly digests: readonly string[]
  /** The tag of each of the digests, in the same order. */
  readonly tags: readonly string[]
  readonly notIndexed: number
}

/** The tag of QCI that would show whether a claim is right. What is no tag there was not taken in. */
export const qciTagOf = (claimed: ClaimedTag): QciTag => (tagPrefixOf(claimed) + claimed.tag) as QciTag

/** Neither a namespace nor a name holds a slash. */
export const keyOf = ({ namespace, name }: Required<ImageStream>): string => `${namespace}/${name}`

export const createImageStreamClaims = (options: ImageStreamClaimsOptions): ImageStreamClaims => {
  const { isRestricted, max = 1_000_000, onFull = () => undefined } = options
  const index = createIndex()
  const streams = new Map<string, Held>()
  let notIndexed = 0

  const replace = (key: string, held: Held | undefined): void => {
    const wasFull = notIndexed > 0
    notIndexed += (held?.notIndexed ?? 0) - (streams.get(key)?.notIndexed ?? 0)
    if (held === undefined) streams.delete(key)
    else streams.set(key, held)
    if (notIndexed > 0 !== wasFull) onFull(notIndexed > 0)
  }

  const remove = (key: string): void => {
    const held = streams.get(key)
    if (held === undefined) return
    for (const digest of held.digests) index.remove(digest, held.imageStream)
    replace(key, undefined)
  }

  return {
    put: (imageStream, claims) => {
      const key = keyOf(imageStream)
      const before = streams.get(key)
      const same = before?.imageStream ?? { namespace: imageStream.namespace, name: imageStream.name }
      const tags = new Map<string, string>()
      // The first one counts: a status begins with what a tag is now.
      // Attack: what is no tag would become part of a path at upstream.
      for (const { digest, tag } of claims)
        if (!tags.has(digestKeyOf(digest)) && isQciTag(tagPrefixOf(same) + tag))
          tags.set(digestKeyOf(digest), tag)
      const kept = (before?.digests ?? []).filter((digest) => {
        if (tags.has(digest)) return true
        index.remove(digest, same)
        return false
      })
      const added = [...new Set(tags.keys()).difference(new Set(kept))]
      const room = Math.max(0, (isRestricted(imageStream.namespace) ? 2 * max : max) - index.size().places)
      const digests = [...kept, ...added.slice(0, room)]
      for (const digest of added.slice(0, room)) index.add(digest, same)
      const missing = tags.size - digests.length
      const held = {
        imageStream: same,
        digests,
        tags: digests.map((digest) => tags.get(digest) as string),
        notIndexed: missing,
      }
      replace(key, digests.length + missing === 0 ? undefined : held)
    },
    remove: (imageStream) => remove(keyOf(imageStream)),
    retain: (keys) => {
      for (const key of streams.keys()) if (!keys.has(key)) remove(key)
    },
    of: (digest) => {
      const key = digestKeyOf(digest)
      return index.get(key).map((imageStream) => {
        const { digests, tags } = streams.get(keyOf(imageStream)) as Held
        return { ...imageStream, tag: tags[digests.indexOf(key)] as string }
      })
    },
    counts: () => ({ digests: index.size().digests, imageStreams: streams.size, notIndexed }),
  }
}

/** Most digests are in one image stream: it stands in the Map by itself, in an array only where there are more. */
const createIndex = () => {
  type Stream = Required<ImageStream>
  const known = new Map<string, Stream | readonly Stream[]>()
  let places = 0
  const get = (digest: string): readonly Stream[] => {
    const streams = known.get(digest) ?? []
    return 'namespace' in streams ? [streams] : streams
  }
  return {
    get,
    size: () => ({ digests: known.size, places }),
    /** Of a digest that is not there yet for this stream. */
    add: (digest: string, imageStream: Stream): void => {
      places += 1
      known.set(digest, known.has(digest) ? [...get(digest), imageStream] : imageStream)
    },
    /** Of a digest that is there for this stream. */
    remove: (digest: string, imageStream: Stream): void => {
      places -= 1
      const [first, ...rest] = get(digest).filter((other) => other !== imageStream)
      if (first === undefined) known.delete(digest)
      else known.set(digest, rest.length === 0 ? first : [first, ...rest])
    },
  }
}
