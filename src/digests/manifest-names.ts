/**
 * The children of manifests in a few bytes each, bounded. Restricted manifests have a cache of their own.
 *
 * Attack: manifests of other projects evict the children of a restricted manifest, so that its next tag does not close them.
 */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/reference.ts'
import { joinKeys, keyOf, type DigestKey } from './digest-key.ts'

/** Digests in a manifest. */
export interface ManifestChildren {
  readonly manifests: readonly Digest[]
  readonly blobs: readonly Digest[]
}

/** The same as text of `joinKeys`. */
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

  /** Moves a manifest that a restricted tag reaches. */
  close(key: DigestKey): void {
    const names = this.#open.get(key)
    if (names === undefined) return
    this.#open.delete(key)
    this.#restricted.set(key, names)
  }
}
