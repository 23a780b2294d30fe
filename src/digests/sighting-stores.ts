/**
 * Sightings by digest: one bounded store for sightings that open, and one for each restricted namespace, so that a namespace evicts only its
 * own sightings. A digest that was ever in a restricted store stays closed by its fingerprint.
 */
import { createBoundedCache, type BoundedCache } from '../concurrency/bounded-cache.ts'
import type { DigestKey } from './digest-key.ts'
import { FingerprintSet } from './fingerprint-set.ts'
import { joinReaches, unseen, type Reach, type Sighting, type Sightings } from './sightings.ts'

export interface SightingStoresOptions {
  /** Bound on digests of namespaces without restriction. */
  readonly maxOpen: number
  /** Bound on digests of one restricted namespace. */
  readonly maxPerNamespace: number
  /** Called once for each restricted namespace that is full, and evicts its oldest sightings from then on. */
  readonly onFull: (namespace: string) => void
}

/** Why a digest is closed: a restricted tag reaches it, or only a tag that stands for a restricted digest. */
export type Closing = 'tag' | 'attached'

export type SightingStore = BoundedCache<DigestKey, Sightings>

export class SightingStores {
  readonly #options: SightingStoresOptions
  readonly open: SightingStore
  readonly #restricted = new Map<string, SightingStore>()
  readonly #closed = new FingerprintSet()
  /** Those of them that a tag of a restricted namespace has reached. The others are attached to restricted digests. */
  readonly #tagged = new FingerprintSet()

  constructor(options: SightingStoresOptions) {
    this.#options = options
    this.open = createBoundedCache(options.maxOpen)
  }

  /** The number of open digests, and of digests that were ever restricted. */
  counts(): { readonly digests: number; readonly restrictedDigests: number } {
    return { digests: this.open.size, restrictedDigests: this.#closed.size }
  }

  restricted(namespace: string): SightingStore {
    const existing = this.#restricted.get(namespace)
    if (existing !== undefined) return existing
    let isFull = false
    const store = createBoundedCache<DigestKey, Sightings>(this.#options.maxPerNamespace, {
      onEvicted: () => {
        if (!isFull) this.#options.onFull(namespace)
        isFull = true
      },
    })
    this.#restricted.set(namespace, store)
    return store
  }

  close(key: DigestKey, by: Closing): void {
    this.#closed.add(key)
    if (by === 'tag') this.#tagged.add(key)
  }

  /** Whether a restricted tag has ever reached it. */
  isClosed(key: DigestKey): boolean {
    return this.#closed.has(key)
  }

  of(key: DigestKey): readonly Sighting[] {
    return [...this.#restricted.values(), this.open].flatMap((store) => store.get(key)?.list ?? [])
  }

  /** The reach by tags that reach the digest directly. @param now milliseconds since the epoch */
  reachOf(key: DigestKey, now: number): Reach {
    const open = this.open.get(key)?.reach(now) ?? unseen
    if (!this.isClosed(key)) return open
    return { ...joinReaches([...this.#restrictedReaches(key, now), open]), isRestricted: true }
  }

  /** Whether a tag of a restricted namespace has ever reached the digest; tags that stand for a digest do not count. */
  hadRestrictedTag(key: DigestKey): boolean {
    return this.#tagged.has(key)
  }

  #restrictedReaches(key: DigestKey, now: number): readonly Reach[] {
    return [...this.#restricted.values()].map((store) => store.get(key)?.reach(now) ?? unseen)
  }
}
