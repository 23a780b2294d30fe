/**
 * Work that is on, so that an end can wait for it.
 */
export class Pending {
  readonly #work = new Set<Promise<void>>()

  /** The same promise, which counts until it is settled. */
  async add(work: Promise<void>): Promise<void> {
    this.#work.add(work)
    try {
      await work
    } finally {
      this.#work.delete(work)
    }
  }

  /** Resolves when the work of this moment is done, or has failed. Never rejects. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#work)
  }
}
