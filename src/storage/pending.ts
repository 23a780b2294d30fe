/**
 * Counts running work, so that a shutdown can wait for it.
 */
export class Pending {
  readonly #work = new Set<Promise<void>>()

  /** Returns the same promise, and counts it until it is settled. */
  async add(work: Promise<void>): Promise<void> {
    this.#work.add(work)
    try {
      await work
    } finally {
      this.#work.delete(work)
    }
  }

  /** Resolves when all work that runs now is done or has failed. Never rejects. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#work)
  }
}
