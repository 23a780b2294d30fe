/**
 * Where a digest was seen, and when: the tags that reach it, as far as they decide who may pull it. Many digests of one image share
 * one of these, so it never changes: `with` makes another one.
 */
import type { Digest, ImageStream } from '../reference.ts'

/** What decides about a tag: its image stream, the digest that it stands for, or nothing but access to the whole monorepo. */
export type Location =
  | { readonly by: 'image-stream'; readonly imageStream: ImageStream; readonly isRestricted: boolean }
  | { readonly by: 'digest'; readonly digest: Digest }
  | { readonly by: 'qci' }

/** A tag of this location gave a manifest that reaches the digest. */
export interface Sighting {
  /** One object for each location: equal ones are identical. */
  readonly location: Location
  /** Milliseconds since the epoch, rounded down to `sightingStepMs`: digests that are seen together share their sightings. */
  readonly seenAt: number
}

export const sightingStepMs = 10 * 60_000
const dayMs = 24 * 3600_000
/** As long as a pull by digest may follow one by tag. */
export const openLifeMs = dayMs
/** Longer than upstream keeps what was pruned. */
export const restrictedLifeMs = 30 * dayMs

export const isRestricted = (location: Location): boolean =>
  location.by === 'image-stream' && location.isRestricted

const endOf = ({ location, seenAt }: Sighting): number =>
  seenAt + (isRestricted(location) ? restrictedLifeMs : openLifeMs)

/** What is known of a digest. */
export interface Reach {
  /** The image streams whose tags reach it, the most recent last. */
  readonly imageStreams: readonly ImageStream[]
  /** A tag of a namespace that is not restricted reaches it. */
  readonly isOpen: boolean
  /** A tag of a restricted namespace reaches it, or did once. */
  readonly isRestricted: boolean
  /** A tag that belongs to nobody reaches it. */
  readonly isOfNobody: boolean
  /** A tag that stands for one of these reaches it: it is as open as they are. */
  readonly attachedTo: readonly Digest[]
}

export const unseen: Reach = {
  imageStreams: [],
  isOpen: false,
  isRestricted: false,
  isOfNobody: false,
  attachedTo: [],
}

export const joinReaches = (reaches: readonly Reach[]): Reach => ({
  imageStreams: reaches.flatMap(({ imageStreams }) => imageStreams),
  isOpen: reaches.some(({ isOpen }) => isOpen),
  isRestricted: reaches.some((reach) => reach.isRestricted),
  isOfNobody: reaches.some(({ isOfNobody }) => isOfNobody),
  attachedTo: reaches.flatMap(({ attachedTo }) => attachedTo),
})

/**
 * Bound on the sightings of one digest: a base layer is in hundreds of image streams. One sighting of each namespace stays, since a
 * puller of that namespace needs it, as far as there are not more than `maxNamespaces` of them.
 */
const maxSightings = 256
const maxNamespaces = 1024

export class Sightings {
  static readonly none = new Sightings([])
  /** The most recent last. */
  readonly list: readonly Sighting[]
  #reach: Reach | undefined
  /** Milliseconds since the epoch at which the first of the sightings ends. */
  #validUntil = -Infinity

  private constructor(list: readonly Sighting[]) {
    this.list = list
  }

  /** These and the given ones, by the time of each; the same object where nothing is new. */
  with(added: readonly Sighting[]): Sightings {
    const newest = new Map(this.list.map((one) => [one.location, one]))
    const news = added.filter(({ location, seenAt }) => (newest.get(location)?.seenAt ?? -Infinity) < seenAt)
    if (news.length === 0) return this
    for (const one of news) {
      newest.delete(one.location)
      newest.set(one.location, one)
    }
    // Another replica may tell old news.
    return new Sightings(bounded([...newest.values()].toSorted((one, other) => one.seenAt - other.seenAt)))
  }

  /** @param now milliseconds since the epoch */
  reach(now: number): Reach {
    if (this.#reach !== undefined && now < this.#validUntil) return this.#reach
    const alive = this.list.filter((one) => endOf(one) > now)
    this.#validUntil = Math.min(...alive.map(endOf))
    this.#reach = alive.length === 0 ? unseen : reachOf(alive.map(({ location }) => location))
    return this.#reach
  }
}

const reachOf = (locations: readonly Location[]): Reach => {
  const streams = locations.filter((location) => location.by === 'image-stream')
  return {
    imageStreams: streams.map(({ imageStream }) => imageStream),
    isOpen: streams.some((stream) => !stream.isRestricted),
    isRestricted: streams.some((stream) => stream.isRestricted),
    isOfNobody: locations.some(({ by }) => by === 'qci'),
    attachedTo: locations.flatMap((location) => (location.by === 'digest' ? [location.digest] : [])),
  }
}

/** The newest ones, and before them the newest of each namespace. */
const bounded = (list: readonly Sighting[]): readonly Sighting[] => {
  if (list.length <= maxSightings) return list
  const kept = new Set(list.slice(-maxSightings))
  const namespaces = new Set<string>()
  for (const one of list.toReversed()) {
    const { location } = one
    if (location.by !== 'image-stream' || namespaces.has(location.imageStream.namespace)) continue
    if (namespaces.size >= maxNamespaces) break
    namespaces.add(location.imageStream.namespace)
    kept.add(one)
  }
  return list.filter((one) => kept.has(one))
}
