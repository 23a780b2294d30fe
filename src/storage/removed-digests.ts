/**
 * What an operator has removed. A fill that began before does not become an entry: it would bring the removed bytes back.
 */
import { createBoundedCache } from '../concurrency/bounded-cache.ts'

/** Far above what is removed while a fill runs. */
const maxDigests = 20_000

export class RemovedDigests {
  readonly #digests = createBoundedCache<string, number>(maxDigests)
  #removals = 0

  /** How many removals there were: a moment, for `isRemovedSince`. */
  get moment(): number {
    return this.#removals
  }

  add(digest: string): void {
    this.#removals += 1
    this.#digests.set(digest, this.#removals)
  }

  isRemovedSince(moment: number, digest: string): boolean {
    return (this.#digests.get(digest) ?? 0) > moment
  }
}
