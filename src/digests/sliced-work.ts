/**
 * Does a little work at once, and much work in slices, so that requests get a turn between two slices. The works take turns, and a new one
 * begins with the next slice. Attack: an index of thousands of manifests with thousands of layers, which others would wait for.
 */
interface Work<Item> {
  /** The number of the run that began it. */
  readonly run: number
  readonly items: Item[]
  readonly done: PromiseWithResolvers<void>
}

export class SlicedWork<Item> {
  readonly #perform: (item: Item) => void
  readonly #sliceSize: number
  /** In the order of their turns. */
  readonly #works: Work<Item>[] = []
  /** Where items are added: the work in progress, or the next one. */
  #added: Item[] = []
  #runs = 0
  #isSettling = false

  /** @param perform may add more items, and does not throw  @param sliceSize items that are done without a pause */
  constructor(perform: (item: Item) => void, sliceSize: number) {
    this.#perform = perform
    this.#sliceSize = sliceSize
  }

  /** Adds an item for the next `run`, which does the last one first, so that few items wait; within `perform`, for the work in progress. */
  add(item: Item): void {
    this.#added.push(item)
  }

  run(): void {
    const work = { run: ++this.#runs, items: this.#added, done: Promise.withResolvers<void>() }
    this.#added = []
    if (!this.#isSettling && this.#runSlice(work)) return
    this.#works.unshift(work)
    if (!this.#isSettling) void this.#settle()
  }

  /** The number of runs so far, for `settled`. */
  mark(): number {
    return this.#runs
  }

  /** Resolves when all items of earlier runs are done. @param since only of runs after this mark */
  async settled(since = 0): Promise<void> {
    await Promise.all(this.#works.filter(({ run }) => run > since).map(({ done }) => done.promise))
  }

  async #settle(): Promise<void> {
    this.#isSettling = true
    do await new Promise((resolve) => setImmediate(resolve))
    while (!this.#takeTurn())
    this.#isSettling = false
  }

  /** @returns whether no work is left */
  #takeTurn(): boolean {
    for (const work of this.#works.splice(0, 1))
      if (this.#runSlice(work)) work.done.resolve()
      else this.#works.push(work)
    return this.#works.length === 0
  }

  /** @returns whether no item is left */
  #runSlice({ items }: Work<Item>): boolean {
    this.#added = items
    for (let done = 0; done < this.#sliceSize && items.length > 0; done++) this.#perform(items.pop() as Item)
    this.#added = []
    return items.length === 0
  }
}
