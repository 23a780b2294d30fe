/**
 * The children of manifests in a few bytes each, bounded. Restricted manifests have a cache of their own.
 *
 * Attack: manifests of other projects evict the children of a restricted manifest, so that its next tag does not close them.
 */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/reference.ts'
import { joinKeys, keyOf, splitKeys, type DigestKey } from './digest-key.ts'

/** Digests in a manifest. */
export interface ManifestChildren {
  readonly manifests: readonly Digest[]
  readonly blobs: readonly Digest[]
}

/** The same as text of `joinKeys`. */
export interface Names {
  readonly manifests: string
  readonly blobs: string
  /** This process read them from the verified bytes of the manifest. Otherwise another replica, or an earlier process, says so. */
  readonly isOwn: boolean
}

export interface NamesKind {
  readonly isRestricted: boolean
  readonly isOwn: boolean
}

const noNames: Names = { manifests: '', blobs: '', isOwn: false }

const joined = ({ manifests, blobs }: ManifestChildren): Omit<Names, 'isOwn'> => ({
  manifests: joinKeys(manifests.map(keyOf)),
  blobs: joinKeys(blobs.map(keyOf)),
})

const joinedWith = (names: Names, { manifests, blobs }: ManifestChildren): Omit<Names, 'isOwn'> => ({
  manifests: joinKeys([...new Set([...splitKeys(names.manifests), ...manifests.map(keyOf)])]),
  blobs: joinKeys([...new Set([...splitKeys(names.blobs), ...blobs.map(keyOf)])]),
})

export class ManifestNames {
  readonly #open: LRUCache<DigestKey, Names>
  readonly #restricted: LRUCache<DigestKey, Names>
  #hasForgotten = false

  /** @param maxBytes of each of the two kinds: about 33 bytes for a child */
  constructor(maxBytes: number) {
    const options = {
      maxSize: maxBytes,
      sizeCalculation: ({ manifests, blobs }: Names) => manifests.length + blobs.length + 200,
    }
    this.#open = new LRUCache(options)
    this.#restricted = new LRUCache({
      ...options,
      dispose: (_names, _key, reason) => {
        this.#hasForgotten ||= reason === 'evict'
      },
    })
  }

  get size(): number {
    return this.#open.size + this.#restricted.size
  }

  /**
   * Names of restricted manifests were evicted. What they name stays closed in this process, and a snapshot of the facts does not close it in
   * another one.
   */
  get hasForgotten(): boolean {
    return this.#hasForgotten
  }

  get(key: DigestKey): Names | undefined {
    return this.#restricted.get(key) ?? this.#open.get(key)
  }

  /**
   * Children that this process has read itself replace those from other replicas; children from other replicas are added up.
   * @returns the names before and after; undefined if they are the same
   */
  set(
    key: DigestKey,
    children: ManifestChildren,
    { isRestricted, isOwn }: NamesKind,
  ): { readonly before: Names; readonly after: Names } | undefined {
    const before = this.get(key)
    const after = {
      ...(isOwn || before === undefined ? joined(children) : joinedWith(before, children)),
      isOwn,
    }
    const cache = isRestricted ? this.#restricted : this.#open
    cache.set(key, after)
    const isSame = before?.manifests === after.manifests && before.blobs === after.blobs
    return isSame ? undefined : { before: before ?? noNames, after }
  }

  /** Moves a manifest that a restricted tag reaches. */
  close(key: DigestKey): void {
    const names = this.#open.get(key)
    if (names === undefined) return
    this.#open.delete(key)
    this.#restricted.set(key, names)
  }
}
