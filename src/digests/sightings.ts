/**
 * The tags that reach a digest, as far as they decide access, and when they were seen. Many digests of one image share one `Sightings`, so
 * it never changes: `with` returns another one.
 */
import type { Digest, ImageStream } from '../oci/reference.ts'

/** What decides access to a tag: its image stream, the digest that it stands for, or only QCI-wide access. */
export type Location =
  | { readonly by: 'image-stream'; readonly imageStream: ImageStream; readonly isRestricted: boolean }
  | { readonly by: 'digest'; readonly digest: Digest }
  | { readonly by: 'qci' }

/** A tag with this location gave a manifest that reaches the digest. */
export interface Sighting {
  /** Interned: equal locations are identical objects. */
  readonly location: Location
  /** Milliseconds since the epoch, rounded down to `sightingStepMs`, so that digests that are seen together share their sightings. */
  readonly seenAt: number
}

export const sightingStepMs = 10 * 60_000
const dayMs = 24 * 3600_000
/** The longest time between a pull by tag and a pull by its digest. */
export const openLifeMs = dayMs
/** Longer than upstream keeps pruned images. */
export const restrictedLifeMs = 30 * dayMs

export const isRestricted = (location: Location): boolean =>
  location.by === 'image-stream' && location.isRestricted

const endOf = ({ location, seenAt }: Sighting): number =>
  seenAt + (isRestricted(location) ? restrictedLifeMs : openLifeMs)

/** The result of all tags that reach a digest. */
export interface Reach {
  /** The image streams whose tags reach it, the most recent last. */
  readonly imageStreams: readonly ImageStream[]
  /** A tag of a namespace that is not restricted reaches it. */
  readonly isOpen: boolean
  /** A tag of a restricted namespace reaches it, or has reached it. */
  readonly isRestricted: boolean
  /** A tag without an owner (an unowned tag) reaches it. */
  readonly isUnowned: boolean
  /** Digests whose tags reach this digest (see `reach-graph.ts`): it is as open as they are. */
  readonly attachedTo: readonly Digest[]
}

export const unseen: Reach = {
  imageStreams: [],
  isOpen: false,
  isRestricted: false,
  isUnowned: false,
  attachedTo: [],
}

export const joinReaches = (reaches: readonly Reach[]): Reach => ({
  imageStreams: reaches.flatMap(({ imageStreams }) => imageStreams),
  isOpen: reaches.some(({ isOpen }) => isOpen),
  isRestricted: reaches.some((reach) => reach.isRestricted),
  isUnowned: reaches.some(({ isUnowned }) => isUnowned),
  attachedTo: reaches.flatMap(({ attachedTo }) => attachedTo),
})

/**
 * Bound on the sightings of one digest, because a base layer is in hundreds of image streams. In addition, one sighting of each namespace
 * stays for users of that namespace, up to `maxNamespaces`.
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

  /** These and the given sightings, in the order of their time; the same object if none is new. */
  with(added: readonly Sighting[]): Sightings {
    const newest = new Map(this.list.map((one) => [one.location, one]))
    const news = added.filter(({ location, seenAt }) => (newest.get(location)?.seenAt ?? -Infinity) < seenAt)
    if (news.length === 0) return this
    for (const one of news) {
      newest.delete(one.location)
      newest.set(one.location, one)
    }
    // Another replica may publish old sightings.
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
    isUnowned: locations.some(({ by }) => by === 'qci'),
    attachedTo: locations.flatMap((location) => (location.by === 'digest' ? [location.digest] : [])),
  }
}

/** The newest sightings, and in addition the newest one of each namespace. */
const bounded = (list: readonly Sighting[]): readonly Sighting[] => {
  if (list.length <= maxSightings) return list
  const selected = new Set(list.slice(-maxSightings))
  const namespaces = new Set<string>()
  for (const one of list.toReversed()) {
    const { location } = one
    if (location.by !== 'image-stream' || namespaces.has(location.imageStream.namespace)) continue
    if (namespaces.size >= maxNamespaces) break
    namespaces.add(location.imageStream.namespace)
    selected.add(one)
  }
  return list.filter((one) => selected.has(one))
}
