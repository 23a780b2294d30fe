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
 * its own, and what finds no room there stays closed by its fingerprint.
 */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../reference.ts'
import { digestOf, joinKeys, keyOf, splitKeys, type DigestKey } from './digest-key.ts'
import { FingerprintSet } from './fingerprint-set.ts'
import { isRestricted, joinReaches, Sightings, sightingStepMs, unseen } from './sightings.ts'
import type { Location, Reach, Sighting } from './sightings.ts'

/** What a manifest names. */
export interface ManifestChildren {
  readonly manifests: readonly Digest[]
  readonly blobs: readonly Digest[]
}

export interface ReachGraphOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Bound on digests that are known from other than restricted namespaces. */
  readonly maxOpen?: number
  /** Bound on digests of one restricted namespace. */
  readonly maxPerNamespace?: number
  /** Bound on what is kept of manifests: about 33 bytes for a child. */
  readonly maxNamesBytes?: number
  /** Called when a restricted namespace has no room left: what comes after is closed to all but robots. */
  readonly onFull?: (namespace: string) => void
}

/** Children of one manifest, see `joinKeys`. */
interface Names {
  readonly manifests: string
  readonly blobs: string
}

/** Sightings on their way down from a manifest. What had the same sightings before has the same object after. */
interface Batch {
  readonly opening: readonly Sighting[]
  readonly closing: readonly Sighting[]
  readonly merged: Map<Sightings, Sightings>
}

interface Work {
  readonly key: DigestKey
  readonly batch: Batch
  /** Levels below it that are followed. */
  readonly depth: number
}

/** Index, manifest, blob, and two to spare. */
const maxDepth = 5
/** How far a tag that stands for a digest leads to another such tag. */
const maxAttachedDepth = 4
/** Digests that are touched before others get a turn: some 5 ms. */
const sliceSize = 4000
const maxParents = 32

// `maxSize` instead of `max`: lru-cache reserves memory for `max` entries at once.
const boundedCache = <Value extends object>(maxSize: number) =>
  new LRUCache<DigestKey, Value>({ maxSize, sizeCalculation: () => 1 })

export class ReachGraph {
  readonly #now: () => number
  readonly #maxPerNamespace: number
  readonly #onFull: (namespace: string) => void
  readonly #open: LRUCache<DigestKey, Sightings>
  readonly #restricted = new Map<DigestKey, Sightings>()
  readonly #restrictedCounts = new Map<string, number>()
  readonly #closed = new FingerprintSet()
  readonly #names: LRUCache<DigestKey, Names>
  /** Manifests that no open tag reaches, by the blobs that they name. */
  readonly #parents: LRUCache<DigestKey, readonly DigestKey[]>
  readonly #locations = new LRUCache<string, Location>({ maxSize: 200_000, sizeCalculation: () => 1 })
  readonly #work: Work[] = []
  #settling: Promise<void> | undefined

  constructor(options: ReachGraphOptions = {}) {
    const { maxOpen = 500_000, maxNamesBytes = 64 * 1024 * 1024 } = options
    this.#now = options.now ?? Date.now
    this.#maxPerNamespace = options.maxPerNamespace ?? 400_000
    this.#onFull = options.onFull ?? (() => undefined)
    this.#open = boundedCache(maxOpen)
    this.#parents = boundedCache(maxOpen)
    this.#names = new LRUCache({
      maxSize: maxNamesBytes,
      sizeCalculation: ({ manifests, blobs }) => manifests.length + blobs.length + 200,
    })
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
  recordManifest(digest: Digest, { manifests, blobs }: ManifestChildren): void {
    const key = keyOf(digest)
    if (this.#names.has(key)) return
    const blobKeys = blobs.map(keyOf)
    this.#names.set(key, { manifests: joinKeys(manifests.map(keyOf)), blobs: joinKeys(blobKeys) })
    const sightings = this.#sightingsOf(key)
    if (!this.#reachOf(key, maxAttachedDepth).isOpen) for (const blob of blobKeys) this.#addParent(blob, key)
    if (sightings.length > 0) this.#enqueue(key, sightings)
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

  /** Resolves once what was recorded before has reached every digest below it. */
  async settled(): Promise<void> {
    await this.#settling
  }

  reachOf(digest: Digest): Reach {
    return this.#reachOf(keyOf(digest), maxAttachedDepth)
  }

  /** Manifests that name this blob and that no open tag reached when they were recorded; none for what is a manifest itself. */
  parentsOf(digest: Digest): readonly Digest[] {
    const key = keyOf(digest)
    return this.#names.has(key) ? [] : (this.#parents.get(key) ?? []).map(digestOf)
  }

  counts(): { readonly digests: number; readonly restrictedDigests: number; readonly manifests: number } {
    return { digests: this.#open.size, restrictedDigests: this.#closed.size, manifests: this.#names.size }
  }

  #reachOf(key: DigestKey, depth: number): Reach {
    const now = this.#now()
    const open = this.#open.get(key)?.reach(now) ?? unseen
    const isClosed = this.#closed.has(key)
    if (!isClosed && open.attachedTo.length === 0) return open
    const restricted = this.#restricted.get(key)?.reach(now) ?? unseen
    const own = joinReaches([restricted, open])
    const attached = depth > 0 ? own.attachedTo.map((digest) => this.#reachOf(keyOf(digest), depth - 1)) : []
    return joinReaches([...attached, { ...own, isRestricted: isClosed }])
  }

  #sightingsOf(key: DigestKey): readonly Sighting[] {
    return [...(this.#restricted.get(key)?.list ?? []), ...(this.#open.get(key)?.list ?? [])]
  }

  #intern(location: Location): Location {
    const id = JSON.stringify(location)
    const known = this.#locations.get(id) ?? location
    this.#locations.set(id, known)
    return known
  }

  #addParent(key: DigestKey, parent: DigestKey): void {
    const parents = this.#parents.get(key) ?? []
    if (!parents.includes(parent)) this.#parents.set(key, [...parents.slice(1 - maxParents), parent])
  }

  /** What is attached to a restricted image closes as that does: it must not be evicted either. */
  #closes({ location }: Sighting): boolean {
    if (location.by === 'digest') return this.reachOf(location.digest).isRestricted
    return isRestricted(location)
  }

  #enqueue(key: DigestKey, sightings: readonly Sighting[]): void {
    const closing = sightings.filter((one) => this.#closes(one))
    const opening = sightings.filter((one) => !closing.includes(one))
    this.#work.push({ key, batch: { opening, closing, merged: new Map() }, depth: maxDepth })
    if (this.#settling === undefined && !this.#runSlice()) this.#settling = this.#settle()
  }

  async #settle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve))
    while (!this.#runSlice())
    this.#settling = undefined
  }

  /** @returns whether nothing is left to do */
  #runSlice(): boolean {
    for (let touched = 0; touched < sliceSize; touched++) {
      const work = this.#work.pop()
      if (work === undefined) return true
      this.#touch(work)
    }
    return false
  }

  #touch({ key, batch, depth }: Work): void {
    if (batch.closing.length > 0) this.#close(key, batch)
    if (batch.opening.length > 0)
      this.#open.set(key, mergeOnce(batch, this.#open.get(key) ?? Sightings.none, batch.opening))
    const names = depth > 0 ? this.#names.get(key) : undefined
    if (names === undefined) return
    for (const child of splitKeys(names.manifests)) this.#work.push({ key: child, batch, depth: depth - 1 })
    // A blob has nothing below it.
    for (const child of splitKeys(names.blobs)) this.#work.push({ key: child, batch, depth: 0 })
  }

  #close(key: DigestKey, batch: Batch): void {
    this.#closed.add(key)
    const before = this.#restricted.get(key)
    if (before === undefined && !batch.closing.some(({ location }) => this.#takeRoom(location))) return
    this.#restricted.set(key, mergeOnce(batch, before ?? Sightings.none, batch.closing))
  }

  #takeRoom(location: Location): boolean {
    const namespace = location.by === 'image-stream' ? location.imageStream.namespace : ''
    const count = this.#restrictedCounts.get(namespace) ?? 0
    if (count === this.#maxPerNamespace) this.#onFull(namespace)
    if (count <= this.#maxPerNamespace) this.#restrictedCounts.set(namespace, count + 1)
    return count < this.#maxPerNamespace
  }
}

/** Within one batch `open` and `restricted` never hold the same object but `none`, which each of the two kinds gets its own of. */
const mergeOnce = ({ merged }: Batch, before: Sightings, added: readonly Sighting[]): Sightings => {
  const known = merged.get(before)
  if (known !== undefined && known.list.at(-1) === added.at(-1)) return known
  const after = before.with(added)
  merged.set(before, after)
  return after
}
