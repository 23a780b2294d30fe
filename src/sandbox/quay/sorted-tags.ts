/** The names of the tags in the order of a collation. A page costs one binary search, even with a million tags. */
import type { Collation } from './collation.ts'

/** Up to this many new names are inserted one by one. With more, all names are sorted again. */
const putSingly = 1000

export class SortedTags {
  readonly #collation: Collation
  #sorted: string[] = []
  #added: string[] = []

  constructor(collation: Collation) {
    this.#collation = collation
  }

  /** @param name not there yet; it finds its place when tags are next listed */
  add(name: string): void {
    this.#added.push(name)
  }

  /** @param name one that is there */
  delete(name: string): void {
    this.#settle()
    this.#sorted.splice(this.#firstAfter(name) - 1, 1)
  }

  /** At most `limit` names after `last` (exclusive, and not necessarily a tag), and whether there are more. */
  after(last: string, limit: number): { readonly names: readonly string[]; readonly more: boolean } {
    this.#settle()
    const start = last === '' ? 0 : this.#firstAfter(last)
    return { names: this.#sorted.slice(start, start + limit), more: start + limit < this.#sorted.length }
  }

  #settle(): void {
    if (this.#added.length > putSingly)
      this.#sorted = this.#collation.inOrder(this.#sorted.concat(this.#added))
    else for (const name of this.#added) this.#sorted.splice(this.#firstAfter(name), 0, name)
    this.#added = []
  }

  #firstAfter(last: string): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#collation.compare(this.#sorted[middle]!, last) > 0) high = middle
      else low = middle + 1
    }
    return low
  }
}
