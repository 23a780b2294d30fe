/**
 * digest -> the image streams of app.ci that name it, as the watch tells it: the same on every replica, without a pull first.
 *
 * A digest is held as its 32 bytes in a one-byte string, and stands for its only image stream without an array in between. Measured
 * (`node --expose-gc test/bench/watched-digests.ts`): 500,000 digests of 10,000 streams take 95 bytes each, 46 MiB in all; 196
 * where every other one is in two streams, 94 MiB. Derived: the string 48, its entry in the Map 33 (three words, half a word for
 * buckets, 2^19 places), the reference of its stream 8, and what is around them; a second stream adds a string, and an array of two.
 */
import type { Digest, ImageStream } from '../reference.ts'

export interface WatchedDigests {
  /** What an image stream names now, whatever it named before. */
  readonly put: (imageStream: Required<ImageStream>, digests: Iterable<Digest>) => void
  readonly remove: (imageStream: Required<ImageStream>) => void
  /** Forgets every image stream but these, by `keyOf`: what a complete list does not hold was deleted. */
  readonly retain: (keys: ReadonlySet<string>) => void
  readonly seenIn: (digest: Digest) => readonly ImageStream[]
  readonly counts: () => WatchedCounts
}

export interface WatchedCounts {
  readonly digests: number
  readonly imageStreams: number
  /** Digests that image streams name and that found no room, each counted once for each of its streams. */
  readonly leftOut: number
}

export interface WatchedDigestsOptions {
  readonly isRestricted: (namespace: string) => boolean
  /**
   * Bound on what is held: a digest in two image streams counts twice. Beyond it nothing is forgotten, since a restricted digest
   * that nobody knows is open; what comes is left out. Restricted namespaces have as much room again, which others cannot fill.
   */
  readonly max?: number
  /** Called when something is left out where all found room before, and when all finds room again. */
  readonly onFull?: (full: boolean) => void
}

interface Held {
  readonly imageStream: ImageStream
  readonly digests: readonly string[]
  readonly leftOut: number
}

/** Neither a namespace nor a name holds a slash. */
export const keyOf = ({ namespace, name }: Required<ImageStream>): string => `${namespace}/${name}`

/** Of its own bytes: a slice of the text would keep alive whatever that was a slice of. */
const pack = (digest: Digest): string =>
  Buffer.from(digest.slice(digest.indexOf(':') + 1), 'hex').toString('latin1')

export const createWatchedDigests = (options: WatchedDigestsOptions): WatchedDigests => {
  const { isRestricted, max = 1_000_000, onFull = () => undefined } = options
  const index = createIndex()
  const streams = new Map<string, Held>()
  let leftOut = 0

  const replace = (key: string, held: Held | undefined): void => {
    const wasFull = leftOut > 0
    leftOut += (held?.leftOut ?? 0) - (streams.get(key)?.leftOut ?? 0)
    if (held === undefined) streams.delete(key)
    else streams.set(key, held)
    if (leftOut > 0 !== wasFull) onFull(leftOut > 0)
  }

  const remove = (key: string): void => {
    const held = streams.get(key)
    if (held === undefined) return
    for (const digest of held.digests) index.remove(digest, held.imageStream)
    replace(key, undefined)
  }

  return {
    put: (imageStream, digests) => {
      const key = keyOf(imageStream)
      const before = streams.get(key)
      const same = before?.imageStream ?? { namespace: imageStream.namespace, name: imageStream.name }
      const named = new Set([...digests].map(pack))
      const kept = (before?.digests ?? []).filter((digest) => {
        if (named.delete(digest)) return true
        index.remove(digest, same)
        return false
      })
      const room = Math.max(0, (isRestricted(imageStream.namespace) ? 2 * max : max) - index.places())
      const added = [...named].slice(0, room).map((digest) => index.add(digest, same))
      const missing = named.size - added.length
      const held = { imageStream: same, digests: [...kept, ...added], leftOut: missing }
      replace(key, held.digests.length + missing === 0 ? undefined : held)
    },
    remove: (imageStream) => remove(keyOf(imageStream)),
    retain: (keys) => {
      for (const key of streams.keys()) if (!keys.has(key)) remove(key)
    },
    seenIn: (digest) => index.get(pack(digest)),
    counts: () => ({ digests: index.size(), imageStreams: streams.size, leftOut }),
  }
}

/** Most digests are in one image stream: it stands in the Map by itself, in an array only where there are more. */
const createIndex = () => {
  const known = new Map<string, ImageStream | readonly ImageStream[]>()
  let places = 0
  const get = (digest: string): readonly ImageStream[] => {
    const streams = known.get(digest) ?? []
    return 'namespace' in streams ? [streams] : streams
  }
  return {
    get,
    places: () => places,
    size: () => known.size,
    /** Of a digest that is not there yet for this stream. */
    add: (digest: string, imageStream: ImageStream): string => {
      places += 1
      known.set(digest, known.has(digest) ? [...get(digest), imageStream] : imageStream)
      return digest
    },
    /** Of a digest that is there for this stream. */
    remove: (digest: string, imageStream: ImageStream): void => {
      places -= 1
      const [first, ...rest] = get(digest).filter((other) => other !== imageStream)
      if (first === undefined) known.delete(digest)
      else known.set(digest, rest.length === 0 ? first : [first, ...rest])
    },
  }
}
