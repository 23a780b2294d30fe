/**
 * What manifests name, in a few bytes each: bounded, and those of restricted manifests by themselves.
 *
 * Attack: others' manifests would push out what restricted ones name, and a restricted tag that comes after that would not close it.
 */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/reference.ts'
import { joinKeys, keyOf, type DigestKey } from './digest-key.ts'

/** What a manifest names. */
export interface ManifestChildren {
  readonly manifests: readonly Digest[]
  readonly blobs: readonly Digest[]
}

/** The same, see `joinKeys`. */
export interface Names {
  readonly manifests: string
  readonly blobs: string
}

export class ManifestNames {
  readonly #open: LRUCache<DigestKey, Names>
  readonly #restricted: LRUCache<DigestKey, Names>

  /** @param maxBytes of each of the two kinds: about 33 bytes for a child */
  constructor(maxBytes: number) {
    const options = {
      maxSize: maxBytes,
      sizeCalculation: ({ manifests, blobs }: Names) => manifests.length + blobs.length + 200,
    }
    this.#open = new LRUCache(options)
    this.#restricted = new LRUCache(options)
  }

  get size(): number {
    return this.#open.size + this.#restricted.size
  }

  get(key: DigestKey): Names | undefined {
    return this.#restricted.get(key) ?? this.#open.get(key)
  }

  set(key: DigestKey, { manifests, blobs }: ManifestChildren, isRestricted: boolean): void {
    const names = { manifests: joinKeys(manifests.map(keyOf)), blobs: joinKeys(blobs.map(keyOf)) }
    const cache = isRestricted ? this.#restricted : this.#open
    cache.set(key, names)
  }

  /** A restricted tag reaches it. */
  close(key: DigestKey): void {
    const names = this.#open.get(key)
    if (names === undefined) return
    this.#open.delete(key)
    this.#restricted.set(key, names)
  }
}
