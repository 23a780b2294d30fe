/**
 * Work that is done at once where it is little, and in slices where it is much, so that others get a turn between two of them.
 */
export class SlicedWork<Item> {
  readonly #items: Item[] = []
  readonly #perform: (item: Item) => void
  readonly #sliceSize: number
  #settling: Promise<void> | undefined

  /** @param perform may add more, and does not throw  @param sliceSize items that are done without a pause */
  constructor(perform: (item: Item) => void, sliceSize: number) {
    this.#perform = perform
    this.#sliceSize = sliceSize
  }

  /** For `run` to do, the last one first: so the items that wait are few. */
  add(item: Item): void {
    this.#items.push(item)
  }

  run(): void {
    if (this.#settling === undefined && !this.#runSlice()) this.#settling = this.#settle()
  }

  /** Resolves once everything that was added before is done. */
  async settled(): Promise<void> {
    await this.#settling
  }

  async #settle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve))
    while (!this.#runSlice())
    this.#settling = undefined
  }

  /** @returns whether nothing is left to do */
  #runSlice(): boolean {
    for (let done = 0; done < this.#sliceSize; done++) {
      const item = this.#items.pop()
      if (item === undefined) return true
      this.#perform(item)
    }
    return false
  }
}
