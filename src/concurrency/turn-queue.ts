/**
 * Work that is spread over turns of the event loop: a limited number of jobs in each turn, one of each requester in rotation.
 *
 * Attack: hundreds of connections of one requester that all send at the same moment, or whose deadlines all end at the same moment. Each
 * job is short, but the requests of all others would wait for all of them.
 */
export class TurnQueue {
  readonly #maxPerTurn: number
  /** In rotation. Each requester in it has a job. */
  readonly #waiting = new Map<string, (() => void)[]>()
  #begun = 0
  #isScheduled = false

  /** @param maxPerTurn jobs that begin in one turn of the event loop */
  constructor(maxPerTurn: number) {
    this.#maxPerTurn = maxPerTurn
  }

  /** Begins at once if this turn has room and no job waits, which costs no allocation; otherwise in a later turn. Never drops a job. */
  run(requester: string, begin: () => void): void {
    if (this.#waiting.size > 0 || this.#begun >= this.#maxPerTurn) {
      const own = this.#waiting.get(requester)
      if (own === undefined) this.#waiting.set(requester, [begin])
      else own.push(begin)
      this.#schedule()
      return
    }
    this.#begun += 1
    // Not after each job: without load, several turns share one immediate.
    if (this.#begun * 4 >= this.#maxPerTurn) this.#schedule()
    begin()
  }

  /** Resolves when the job of the caller may begin. */
  async turn(requester: string): Promise<void> {
    await new Promise<void>((resolve) => this.run(requester, resolve))
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    this.#isScheduled = false
    this.#begun = 0
    while (this.#waiting.size > 0 && this.#begun < this.#maxPerTurn) {
      this.#begun += 1
      this.#next()()
    }
    if (this.#waiting.size > 0) this.#schedule()
  }

  #next(): () => void {
    const [requester, own] = this.#waiting.entries().next().value as [string, (() => void)[]]
    const begin = own.shift() as () => void
    this.#waiting.delete(requester)
    if (own.length > 0) this.#waiting.set(requester, own)
    return begin
  }
}
