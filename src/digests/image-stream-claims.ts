/**
 * digest -> the tags of ImageStreams of app.ci that claim this digest.
 *
 * Attack: any editor of a project can write the status of an ImageStream. So a claim is no evidence. It only says which tag of QCI to
 * resolve, and a claim of a restricted namespace closes a digest until that tag was resolved.
 *
 * A digest is a one-byte string of 32 bytes, and a single image stream is stored without an array. Measured
 * (`node --expose-gc test/bench/image-stream-claims.ts`): 500,000 digests of 10,000 streams take 95 bytes each, 46 MiB in all; 196
 * where every other one is in two streams, 94 MiB. Derived: the string 48, its entry in the Map 33 (three words, half a word for
 * buckets, 2^19 slots), the reference of its stream 8, and what is around them; a second stream adds a string, and an array of two.
 */
import { isQciTag, tagPrefixOf, type Digest, type ImageStream, type QciTag } from '../oci/reference.ts'
import { keyOf as digestKeyOf, type DigestKey } from './digest-key.ts'

/** One tag in the status of an ImageStream. */
export interface Claim {
  readonly digest: Digest
  readonly tag: string
}

/** A tag of an ImageStream that has, or had, a digest according to the status. */
export interface ClaimedTag {
  readonly namespace: string
  readonly name: string
  readonly tag: string
}

export interface ImageStreamClaims {
  /** Replaces all claims of an image stream. */
  readonly put: (imageStream: Required<ImageStream>, claims: Iterable<Claim>) => void
  readonly remove: (imageStream: Required<ImageStream>) => void
  /** Removes all image streams whose `keyOf` is not in a complete list: they were deleted. */
  readonly retain: (keys: ReadonlySet<string>) => void
  /** The tags that claim the digest. */
  readonly of: (digest: Digest) => readonly ClaimedTag[]
  readonly counts: () => ClaimCounts
}

export interface ClaimCounts {
  readonly digests: number
  readonly imageStreams: number
  /** Claims that found no free slot: pairs of a digest and an image stream. */
  readonly notIndexed: number
}

export interface ImageStreamClaimsOptions {
  readonly isRestricted: (namespace: string) => boolean
  /**
   * Bound on pairs of a digest and an image stream. Beyond it, old claims stay and new claims are not indexed.
   * Restricted namespaces have as many slots again, which other namespaces cannot fill.
   */
  readonly max?: number
  /** Called with true when the first claim is not indexed, and with false when all claims are indexed again. */
  readonly onFull?: (full: boolean) => void
}

interface Held {
  readonly imageStream: Required<ImageStream>
  readonly digests: readonly DigestKey[]
  /** The tag of each of the digests, in the same order. */
  readonly tags: readonly string[]
  readonly notIndexed: number
}

/** The tag of QCI that proves or refutes a claim. `put` has dropped claims that are no tag there. */
export const qciTagOf = (claimed: ClaimedTag): QciTag => (tagPrefixOf(claimed) + claimed.tag) as QciTag

/** Unique, because neither a namespace nor a name contains a slash. */
export const keyOf = ({ namespace, name }: Required<ImageStream>): string => `${namespace}/${name}`

export const createImageStreamClaims = (options: ImageStreamClaimsOptions): ImageStreamClaims =>
  new ClaimIndex(options)

class ClaimIndex implements ImageStreamClaims {
  readonly #isRestricted: (namespace: string) => boolean
  readonly #max: number
  readonly #onFull: (full: boolean) => void
  readonly #index = new StreamsByDigest()
  readonly #streams = new Map<string, Held>()
  #notIndexed = 0

  constructor({ isRestricted, max = 1_000_000, onFull = () => undefined }: ImageStreamClaimsOptions) {
    this.#isRestricted = isRestricted
    this.#max = max
    this.#onFull = onFull
  }

  readonly put = (imageStream: Required<ImageStream>, claims: Iterable<Claim>): void => {
    const key = keyOf(imageStream)
    const before = this.#streams.get(key)
    const same = before?.imageStream ?? { namespace: imageStream.namespace, name: imageStream.name }
    const tags = tagsOf(same, claims)
    const stay = (before?.digests ?? []).filter((digest) => tags.has(digest))
    for (const digest of before?.digests ?? []) if (!tags.has(digest)) this.#index.remove(digest, same)
    const added = [...new Set(tags.keys()).difference(new Set(stay))].slice(
      0,
      this.#freeSlots(same.namespace),
    )
    for (const digest of added) this.#index.add(digest, same)
    const digests = [...stay, ...added]
    const notIndexed = tags.size - digests.length
    const held = {
      imageStream: same,
      digests,
      tags: digests.map((digest) => tags.get(digest) as string),
      notIndexed,
    }
    this.#replace(key, tags.size === 0 ? undefined : held)
  }

  readonly remove = (imageStream: Required<ImageStream>): void => {
    this.#remove(keyOf(imageStream))
  }

  readonly retain = (keys: ReadonlySet<string>): void => {
    for (const key of this.#streams.keys()) if (!keys.has(key)) this.#remove(key)
  }

  readonly of = (digest: Digest): readonly ClaimedTag[] => {
    const key = digestKeyOf(digest)
    return this.#index.get(key).map((imageStream) => {
      const { digests, tags } = this.#streams.get(keyOf(imageStream)) as Held
      return { ...imageStream, tag: tags[digests.indexOf(key)] as string }
    })
  }

  readonly counts = (): ClaimCounts => ({
    digests: this.#index.digests,
    imageStreams: this.#streams.size,
    notIndexed: this.#notIndexed,
  })

  #freeSlots(namespace: string): number {
    const max = this.#isRestricted(namespace) ? 2 * this.#max : this.#max
    return Math.max(0, max - this.#index.slots)
  }

  #remove(key: string): void {
    const held = this.#streams.get(key)
    if (held === undefined) return
    for (const digest of held.digests) this.#index.remove(digest, held.imageStream)
    this.#replace(key, undefined)
  }

  #replace(key: string, held: Held | undefined): void {
    const wasFull = this.#notIndexed > 0
    this.#notIndexed += (held?.notIndexed ?? 0) - (this.#streams.get(key)?.notIndexed ?? 0)
    if (held === undefined) this.#streams.delete(key)
    else this.#streams.set(key, held)
    const isFull = this.#notIndexed > 0
    if (isFull !== wasFull) this.#onFull(isFull)
  }
}

/**
 * The tag of each digest. Of several tags the first one counts, because a status begins with what a tag is now.
 *
 * Attack: a claim of something that is no tag would become part of a path at upstream.
 */
const tagsOf = (imageStream: Required<ImageStream>, claims: Iterable<Claim>): Map<DigestKey, string> => {
  const tags = new Map<DigestKey, string>()
  for (const { digest, tag } of claims) {
    const key = digestKeyOf(digest)
    if (!tags.has(key) && isQciTag(tagPrefixOf(imageStream) + tag)) tags.set(key, tag)
  }
  return tags
}

type Stream = Required<ImageStream>

/** Most digests are in one image stream: the Map has the stream itself, and an array only where there are more. */
class StreamsByDigest {
  readonly #streams = new Map<DigestKey, Stream | readonly Stream[]>()
  /** Pairs of a digest and an image stream. */
  #slots = 0

  get slots(): number {
    return this.#slots
  }

  get digests(): number {
    return this.#streams.size
  }

  get(digest: DigestKey): readonly Stream[] {
    const streams = this.#streams.get(digest) ?? []
    return 'namespace' in streams ? [streams] : streams
  }

  /** The digest is not there yet for this stream. */
  add(digest: DigestKey, imageStream: Stream): void {
    this.#slots += 1
    const others = this.get(digest)
    this.#streams.set(digest, others.length === 0 ? imageStream : [...others, imageStream])
  }

  /** The digest is there for this stream. */
  remove(digest: DigestKey, imageStream: Stream): void {
    this.#slots -= 1
    const [first, ...rest] = this.get(digest).filter((other) => other !== imageStream)
    if (first === undefined) this.#streams.delete(digest)
    else this.#streams.set(digest, rest.length === 0 ? first : [first, ...rest])
  }
}
