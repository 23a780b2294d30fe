/**
 * Does a little work at once, and much work in slices, so that requests get a turn between two slices.
 */
export class SlicedWork<Item> {
  readonly #items: Item[] = []
  readonly #perform: (item: Item) => void
  readonly #sliceSize: number
  #settling: Promise<void> | undefined

  /** @param perform may add more items, and does not throw  @param sliceSize items that are done without a pause */
  constructor(perform: (item: Item) => void, sliceSize: number) {
    this.#perform = perform
    this.#sliceSize = sliceSize
  }

  /** Adds an item for `run`, which does the last one first, so that few items wait. */
  add(item: Item): void {
    this.#items.push(item)
  }

  run(): void {
    if (this.#settling === undefined && !this.#runSlice()) this.#settling = this.#settle()
  }

  /** Resolves when all items that were added before are done. */
  async settled(): Promise<void> {
    await this.#settling
  }

  async #settle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve))
    while (!this.#runSlice())
    this.#settling = undefined
  }

  /** @returns whether no item is left */
  #runSlice(): boolean {
    for (let done = 0; done < this.#sliceSize; done++) {
      const item = this.#items.pop()
      if (item === undefined) return true
      this.#perform(item)
    }
    return false
  }
}
