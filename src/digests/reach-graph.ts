/**
 * A user who may pull a tag may pull everything that the tag reaches. This is the graph of what tags reach: tag -> manifest -> manifests,
 * config, layers, and all other children. It is synchronous, because every request of a pull reads it.
 *
 * There is only one source of facts: a replica of this system resolved the tag at upstream and verified the bytes of the manifest. Nothing
 * else is evidence: not an ImageStream, not a list of referrers, not a manifest that was pulled by digest (its children are a fact, but no
 * tag reaches it yet).
 *
 * The graph is stored as its closure: for each digest, the locations of the tags that reach it. Facts that open are in a bounded cache:
 * the eviction of one costs a pull by tag. Facts that close are not evicted by other projects: each restricted namespace has a share of its
 * own, and a digest that is evicted from there stays closed by its fingerprint.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import type { Digest } from '../oci/reference.ts'
import { digestOf, keyOf, splitKeys, type DigestKey } from './digest-key.ts'
import { KeyLists } from './key-lists.ts'
import { ManifestNames, type ManifestChildren } from './manifest-names.ts'
import { Propagation, type Part } from './propagation.ts'
import { SightingStores, type Closing, type SightingStore } from './sighting-stores.ts'
import { isRestricted, joinReaches, sightingStepMs } from './sightings.ts'
import type { Location, Reach, Sighting } from './sightings.ts'

export interface ReachGraphOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Bound on digests of namespaces without restriction. */
  readonly maxOpen?: number
  /** Bound on digests of one restricted namespace. */
  readonly maxPerNamespace?: number
  /** Bound on the stored children of manifests: about 33 bytes for a child. */
  readonly maxNamesBytes?: number
  /** Called once when a restricted namespace is full: its oldest digests are closed to all but robots until a pull by tag. */
  readonly onFull?: (namespace: string) => void
}

/** The longest chain of tags that stand for digests. A digest with a longer chain counts as restricted. */
const maxAttached = 1000
const maxLocations = 200_000

export class ReachGraph {
  readonly #now: () => number
  readonly #stores: SightingStores
  readonly #names: ManifestNames
  /** Manifests that no tag with an owner reaches, by the blobs that they name. */
  readonly #parents: KeyLists
  readonly #locations = createBoundedCache<string, Location>(maxLocations)
  /** Manifests of tags that stand for a digest, by that digest, while it is not restricted. */
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
    this.#propagation = new Propagation(this.#names, (key, by) => this.#close(key, by))
  }

  /**
   * Records that a tag with this location gave this manifest.
   * @param seenAt milliseconds since the epoch
   */
  recordTag(location: Location, digest: Digest, seenAt: number): void {
    const step = Math.floor(seenAt / sightingStepMs) * sightingStepMs
    this.#enqueue(keyOf(digest), [{ location: this.#intern(location), seenAt: step }])
  }

  /**
   * Records the children of a verified manifest. Attack: another replica runs an older version, or a state file is damaged, and lists too few
   * children, so that the others stay open. So what this process has read itself counts, and before that everything that others list.
   * @param isOwn this process verified the bytes
   * @returns whether the children are other ones than those that were known
   */
  recordManifest(digest: Digest, children: ManifestChildren, isOwn = true): boolean {
    const key = keyOf(digest)
    if (this.#names.get(key)?.isOwn === true) return false
    const isClosed = this.#stores.isClosed(key)
    const changed = this.#names.set(key, children, { isRestricted: isClosed, isOwn })
    if (changed === undefined) return false
    this.#parents.take(key)
    const blobs = new Set(splitKeys(changed.after.blobs))
    for (const blob of splitKeys(changed.before.blobs)) if (!blobs.has(blob)) this.#parents.remove(blob, key)
    const isParent = !this.#stores.hadRestrictedTag(key) && !this.reachOf(digest).isOpen
    if (isParent) for (const blob of blobs) this.#parents.add(blob, key)
    this.#propagateFrom(key, isClosed)
    return true
  }

  #propagateFrom(key: DigestKey, isClosed: boolean): void {
    const sightings = this.#stores.of(key)
    // A closed manifest whose sightings were evicted still closes its children.
    if (sightings.length > 0 || isClosed) this.#enqueue(key, sightings)
  }

  /** The children of a manifest, if they are known. */
  childrenOf(digest: Digest): ManifestChildren | undefined {
    const names = this.#names.get(keyOf(digest))
    return (
      names && {
        manifests: [...splitKeys(names.manifests)].map(digestOf),
        blobs: [...splitKeys(names.blobs)].map(digestOf),
      }
    )
  }

  /** The manifests among the children, if they are known. Cheaper than `childrenOf`, because most manifests name none. */
  manifestsOf(digest: Digest): readonly Digest[] | undefined {
    const names = this.#names.get(keyOf(digest))
    return names && [...splitKeys(names.manifests)].map(digestOf)
  }

  /** See `ManifestNames`. */
  get hasForgottenNames(): boolean {
    return this.#names.hasForgotten
  }

  /** For `settled`. */
  mark(): number {
    return this.#propagation.mark()
  }

  /** Resolves when everything that was recorded before has reached every digest below it. @param since only what was recorded after this mark */
  async settled(since?: number): Promise<void> {
    await this.#propagation.settled(since)
  }

  /**
   * Some tags stand for a digest, such as `sha256-<hex>`. A digest that such a tag reaches is as open as the digest that the tag stands
   * for. Attack: the tag `sha256-<hex>` of an open image gives an index of all content that refers to the image, and a restricted artifact
   * can be in it. So such a tag never opens a digest that a restricted tag reaches.
   */
  reachOf(digest: Digest): Reach {
    const now = this.#now()
    const key = keyOf(digest)
    const own = this.#stores.reachOf(key, now)
    if (own.attachedTo.length === 0 || this.#stores.hadRestrictedTag(key)) return own
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

  /** Whether a tag reaches it, or is known to have reached it. */
  wasReached(digest: Digest): boolean {
    return this.#stores.of(keyOf(digest)).length > 0
  }

  /**
   * Manifests that name this blob, and that no restricted tag has reached, nor any open tag when they were recorded; none for a manifest.
   *
   * Attack: many restricted images of one base layer push the one manifest out of the list that opens the layer.
   */
  parentsOf(digest: Digest): readonly Digest[] {
    const key = keyOf(digest)
    return this.#names.get(key) === undefined ? this.#parents.get(key).map(digestOf) : []
  }

  counts(): { readonly digests: number; readonly restrictedDigests: number; readonly manifests: number } {
    return { ...this.#stores.counts(), manifests: this.#names.size }
  }

  #intern(location: Location): Location {
    const id = JSON.stringify(location)
    const interned = this.#locations.get(id) ?? location
    this.#locations.set(id, interned)
    return interned
  }

  /** Content that is attached to a restricted image is restricted as well, so it must not be evicted either. */
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
    this.#propagation.add(key, parts, this.#closingOf(key, parts, sightings))
  }

  #closingOf(key: DigestKey, parts: readonly Part[], sightings: readonly Sighting[]): Closing | undefined {
    const isTagged = sightings.some(({ location }) => isRestricted(location))
    if (isTagged || this.#stores.hadRestrictedTag(key)) return 'tag'
    const isClosed = this.#stores.isClosed(key) || parts.some(({ store }) => store !== this.#stores.open)
    return isClosed ? 'attached' : undefined
  }

  #close(key: DigestKey, by: Closing): void {
    const isNew = by === 'tag' && !this.#stores.hadRestrictedTag(key)
    this.#stores.close(key, by)
    this.#names.close(key)
    if (isNew)
      for (const blob of splitKeys(this.#names.get(key)?.blobs ?? '')) this.#parents.remove(blob, key)
    // Content that was attached to it while it was open closes with it.
    for (const one of this.#attached.take(key)) this.#add(one, this.#stores.of(one))
  }
}
