/**
 * Propagates sightings downwards: a tag gave a manifest, so the tag reaches the children of the manifest, and their children.
 */
import type { DigestKey } from './digest-key.ts'
import { splitKeys } from './digest-key.ts'
import type { ManifestNames } from './manifest-names.ts'
import type { Closing, SightingStore } from './sighting-stores.ts'
import { SlicedWork } from './sliced-work.ts'
import { Sightings, type Sighting } from './sightings.ts'

/** Sightings for one store. Digests that shared one object of sightings before share one after it as well. */
export interface Part {
  readonly store: SightingStore
  readonly added: readonly Sighting[]
}

interface Batch {
  readonly parts: readonly (Part & { readonly merged: Map<Sightings, Sightings> })[]
  /** Undefined if the digests are not closed. */
  readonly closing: Closing | undefined
  /**
   * Manifests that were visited, and the number of levels below each that were followed. Attack: indexes that name the same indexes, level
   * by level, have too many paths to follow all of them.
   */
  readonly followed: Map<DigestKey, number>
}

interface Step {
  readonly key: DigestKey
  readonly batch: Batch
  /** Levels below the digest that are followed. */
  readonly depth: number
}

/** Levels below a tag that are followed: index, manifest, blob, and two in reserve. */
export const maxDepth = 5
/** Digests that are visited before requests get a turn: about 5 ms. */
const sliceSize = 4000

export class Propagation {
  readonly #names: ManifestNames
  readonly #close: (key: DigestKey, by: Closing) => void
  readonly #work = new SlicedWork<Step>((step) => this.#touch(step), sliceSize)

  /** @param close is called for each digest that is closed */
  constructor(names: ManifestNames, close: (key: DigestKey, by: Closing) => void) {
    this.#names = names
    this.#close = close
  }

  /** Adds work for the next `run`, or for the current one. */
  add(key: DigestKey, parts: readonly Part[], closing: Closing | undefined): void {
    const merging = parts.map((part) => ({ ...part, merged: new Map<Sightings, Sightings>() }))
    this.#work.add({ key, batch: { parts: merging, closing, followed: new Map() }, depth: maxDepth })
  }

  run(): void {
    this.#work.run()
  }

  /** For `settled`. */
  mark(): number {
    return this.#work.mark()
  }

  /** Resolves when everything that was added before has reached every digest below it. @param since only what was added after this mark */
  async settled(since?: number): Promise<void> {
    await this.#work.settled(since)
  }

  #touch({ key, batch, depth }: Step): void {
    if (batch.closing !== undefined) this.#close(key, batch.closing)
    for (const { store, added, merged } of batch.parts) {
      const before = store.get(key) ?? Sightings.none
      const after = merged.get(before) ?? before.with(added)
      merged.set(before, after)
      store.set(key, after)
    }
    const names = depth > (batch.followed.get(key) ?? 0) ? this.#names.get(key) : undefined
    if (names === undefined) return
    batch.followed.set(key, depth)
    for (const child of splitKeys(names.manifests)) this.#work.add({ key: child, batch, depth: depth - 1 })
    // A blob names nothing.
    for (const child of splitKeys(names.blobs)) this.#work.add({ key: child, batch, depth: 0 })
  }
}
