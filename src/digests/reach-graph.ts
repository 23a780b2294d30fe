/**
 * You may pull what a tag that you may pull reaches. This is the graph of that: tag -> manifest -> manifests, config, layers, whatever a
 * manifest names. It answers at once, since every request of a pull asks it.
 *
 * A fact is made in one way: this system resolved the tag at upstream itself and verified the bytes of the manifest, in this process or
 * in another replica that shares its facts. Nothing else is evidence: not an ImageStream, not a list of referrers, not a manifest that
 * somebody pulled by digest (what it names is a fact, but it stands nowhere until a tag reaches it).
 *
 * The graph is kept as its closure: for each digest, the locations of the tags that reach it. Facts that open are in a bounded cache:
 * forgetting one costs a pull by tag. Facts that close are never evicted by what others do: each restricted namespace has a share of
 * its own, and what finds no room there any more stays closed by its fingerprint.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import type { Digest } from '../oci/reference.ts'
import { digestOf, keyOf, splitKeys, type DigestKey } from './digest-key.ts'
import { KeyLists } from './key-lists.ts'
import { ManifestNames, type ManifestChildren } from './manifest-names.ts'
import { Propagation } from './propagation.ts'
import { SightingStores, type SightingStore } from './sighting-stores.ts'
import { isRestricted, joinReaches, sightingStepMs } from './sightings.ts'
import type { Location, Reach, Sighting } from './sightings.ts'

export interface ReachGraphOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Bound on digests that are known from other than restricted namespaces. */
  readonly maxOpen?: number
  /** Bound on digests of one restricted namespace. */
  readonly maxPerNamespace?: number
  /** Bound on what is kept of manifests: about 33 bytes for a child. */
  readonly maxNamesBytes?: number
  /** Called once when a restricted namespace has no room left: its oldest digests are closed to all but robots until a pull by tag. */
  readonly onFull?: (namespace: string) => void
}

/** Digests that tags which stand for digests lead to, one from the other. Behind more of them, something may be restricted. */
const maxAttached = 1000
const maxLocations = 200_000

export class ReachGraph {
  readonly #now: () => number
  readonly #stores: SightingStores
  readonly #names: ManifestNames
  /** Manifests that no open tag reaches, by the blobs that they name. */
  readonly #parents: KeyLists
  readonly #locations = createBoundedCache<string, Location>(maxLocations)
  /** What tags that stand for a digest gave, by that digest, as long as it is not restricted. */
  readonly #attached: KeyLists
  readonly #propagation: Propagation

  constructor(options: ReachGraphOptions = {}) {
    const { maxOpen = 500_000, maxPerNamespace = 400_000, maxNamesBytes = 64 * 1024 * 1024 } = options
    const { now = Date.now, onFull = () => undefined } = options
    this.#now = now
    this.#stores = new SightingStores({ maxOpen, maxPerNamespace, onFull })
    this.#parents = new KeyLists(maxOpen)
    this.#attached = new KeyLists(maxOpen)
    this.#names = new ManifestNames(maxNamesBytes)
    this.#propagation = new Propagation(this.#names, (key) => this.#close(key))
  }

  /**
   * A tag of this location gave this manifest.
   * @param seenAt milliseconds since the epoch
   */
  recordTag(location: Location, digest: Digest, seenAt: number): void {
    const step = Math.floor(seenAt / sightingStepMs) * sightingStepMs
    this.#enqueue(keyOf(digest), [{ location: this.#intern(location), seenAt: step }])
  }

  /** What a verified manifest names. */
  recordManifest(digest: Digest, children: ManifestChildren): void {
    const key = keyOf(digest)
    if (this.#names.get(key) !== undefined) return
    const isClosed = this.#stores.isClosed(key)
    this.#names.set(key, children, isClosed)
    this.#parents.take(key)
    if (!this.reachOf(digest).isOpen) for (const blob of children.blobs) this.#parents.add(keyOf(blob), key)
    const sightings = this.#stores.of(key)
    // What has lost its sightings for want of room closes what it names all the same.
    if (sightings.length > 0 || isClosed) this.#enqueue(key, sightings)
  }

  /** What a manifest names, where that is known. */
  childrenOf(digest: Digest): ManifestChildren | undefined {
    const names = this.#names.get(keyOf(digest))
    return (
      names && {
        manifests: [...splitKeys(names.manifests)].map(digestOf),
        blobs: [...splitKeys(names.blobs)].map(digestOf),
      }
    )
  }

  /** The manifests that a manifest names, where that is known: most of them name none, and then nothing is made for it. */
  manifestsOf(digest: Digest): readonly Digest[] | undefined {
    const names = this.#names.get(keyOf(digest))
    return names && [...splitKeys(names.manifests)].map(digestOf)
  }

  /** Resolves once what was recorded before has reached every digest below it. */
  async settled(): Promise<void> {
    await this.#propagation.settled()
  }

  /**
   * What a tag that stands for a digest reaches is as open as that digest. Attack: the tag `sha256-<hex>` of an open image may give an index
   * of all that refers to it, restricted artifacts among it. So such a tag never opens what a tag of a restricted namespace reaches.
   */
  reachOf(digest: Digest): Reach {
    const now = this.#now()
    const key = keyOf(digest)
    const own = this.#stores.reachOf(key, now)
    if (own.attachedTo.length === 0 || this.#stores.hasRestrictedTag(key, now)) return own
    const found = new Map([[digest, own]])
    // A Map that grows is iterated to its new end.
    for (const { attachedTo } of found.values())
      for (const other of attachedTo) {
        if (found.has(other)) continue
        if (found.size > maxAttached) return { ...joinReaches([...found.values()]), isRestricted: true }
        found.set(other, this.#stores.reachOf(keyOf(other), now))
      }
    return joinReaches([...found.values()].toReversed())
  }

  /** Manifests that name this blob and that no open tag reached when they were recorded; none for what is a manifest itself. */
  parentsOf(digest: Digest): readonly Digest[] {
    const key = keyOf(digest)
    return this.#names.get(key) === undefined ? this.#parents.get(key).map(digestOf) : []
  }

  counts(): { readonly digests: number; readonly restrictedDigests: number; readonly manifests: number } {
    return { ...this.#stores.counts(), manifests: this.#names.size }
  }

  #intern(location: Location): Location {
    const id = JSON.stringify(location)
    const known = this.#locations.get(id) ?? location
    this.#locations.set(id, known)
    return known
  }

  /** What is attached to a restricted image closes as that does: it must not be evicted either. */
  #closes({ location }: Sighting): boolean {
    if (location.by === 'digest') return this.reachOf(location.digest).isRestricted
    return isRestricted(location)
  }

  #storeOf(sighting: Sighting): SightingStore {
    if (!this.#closes(sighting)) return this.#stores.open
    const { location } = sighting
    return this.#stores.restricted(location.by === 'image-stream' ? location.imageStream.namespace : '')
  }

  #enqueue(key: DigestKey, sightings: readonly Sighting[]): void {
    for (const { location } of sightings)
      if (location.by === 'digest') this.#attached.add(keyOf(location.digest), key)
    this.#add(key, sightings)
    this.#propagation.run()
  }

  #add(key: DigestKey, sightings: readonly Sighting[]): void {
    const byStore = Map.groupBy(sightings, (one) => this.#storeOf(one))
    const parts = [...byStore].map(([store, added]) => ({ store, added }))
    const closes = this.#stores.isClosed(key) || parts.some(({ store }) => store !== this.#stores.open)
    this.#propagation.add(key, parts, closes)
  }

  #close(key: DigestKey): void {
    this.#stores.close(key)
    this.#names.close(key)
    // What was attached to it while it was not restricted closes with it.
    for (const one of this.#attached.take(key)) this.#add(one, this.#stores.of(one))
  }
}
