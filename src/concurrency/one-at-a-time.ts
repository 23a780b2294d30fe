/**
 * Actions on one key run one after the other, in the order in which they came. Those on different keys do not wait for each other.
 */
export class OneAtATime {
  /** The end of the last action of each key that has one. */
  readonly #last = new Map<string, Promise<unknown>>()

  /** @throws what the action throws; a failure does not stop the next one */
  async run<Value>(key: string, action: () => Promise<Value>): Promise<Value> {
    const before = this.#last.get(key)
    const running = before === undefined ? action() : before.then(action, action)
    this.#last.set(key, running)
    try {
      return await running
    } finally {
      if (this.#last.get(key) === running) this.#last.delete(key)
    }
  }

  /** Keys with an action that runs or waits. */
  get size(): number {
    return this.#last.size
  }
}
