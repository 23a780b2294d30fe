/**
 * A fair queue: requesters take turns. A new request waits behind one request of each other requester, and not behind all of their requests.
 */
import { onAbort } from './abortable.ts'
import type { Clock } from './clock.ts'

/** Why a request is refused: too many of its requester wait, too many of all requesters wait, or its turn did not come in time. */
export type Rejection = 'own-queue' | 'queue' | 'time'

export interface FairQueueOptions {
  readonly maxPerRequester: number
  /** For all requesters together. */
  readonly maxQueued: number
  readonly clock: Clock
  /** Makes the error of a refused request. */
  readonly refuse: (why: Rejection) => Error
}

export interface Waiting {
  readonly requester: string
  /** Milliseconds of the clock. The request is refused then. */
  readonly until: number
  readonly signal?: AbortSignal | undefined
}

export interface FairQueue {
  /** Resolves when the request has its turn. @throws what `refuse` makes; the reason of the signal */
  readonly wait: (waiting: Waiting) => Promise<void>
  /** Grants the next request whose requester `take` accepts. @returns false if there is none */
  readonly next: (take: (requester: string) => boolean) => boolean
  readonly size: () => number
}

interface Entry {
  readonly grant: () => void
  readonly reject: (error: unknown) => void
}

export const createFairQueue = (options: FairQueueOptions): FairQueue => new RoundRobinQueue(options)

class RoundRobinQueue implements FairQueue {
  readonly #options: FairQueueOptions
  /** In the order of turns. Each requester in it has at least one entry. */
  readonly #requesters = new Map<string, Set<Entry>>()
  #size = 0

  constructor(options: FairQueueOptions) {
    this.#options = options
  }

  size(): number {
    return this.#size
  }

  async wait(waiting: Waiting): Promise<void> {
    const { maxPerRequester, maxQueued, refuse } = this.#options
    waiting.signal?.throwIfAborted()
    if ((this.#requesters.get(waiting.requester)?.size ?? 0) >= maxPerRequester) throw refuse('own-queue')
    if (this.#size >= maxQueued) this.#evictFor(waiting.requester)
    await this.#enter(waiting)
  }

  next(take: (requester: string) => boolean): boolean {
    for (const [requester, own] of this.#requesters) {
      if (!take(requester)) continue
      // The requester moves to the end of the turns, with the remaining entries.
      this.#requesters.delete(requester)
      this.#requesters.set(requester, own)
      const [entry] = own
      entry?.grant()
      return true
    }
    return false
  }

  /**
   * Attack: a few requesters that fill the queue would shut out all others. So the newest entry of the requester with the most entries is
   * evicted, unless the new requester would have as many.
   */
  #evictFor(requester: string): void {
    const { refuse } = this.#options
    let most = (this.#requesters.get(requester)?.size ?? 0) + 1
    let newest: Entry | undefined
    for (const own of this.#requesters.values())
      if (own.size > most) {
        most = own.size
        newest = [...own].at(-1)
      }
    if (newest === undefined) throw refuse('queue')
    newest.reject(refuse('own-queue'))
  }

  #enter({ requester, until, signal }: Waiting): Promise<void> {
    const { clock, refuse } = this.#options
    const turn = Promise.withResolvers<void>()
    const leave = (settle: () => void): void => {
      this.#remove(requester, entry)
      stop()
      listener?.[Symbol.dispose]()
      settle()
    }
    const entry: Entry = {
      grant: () => leave(turn.resolve),
      reject: (error) => leave(() => turn.reject(error)),
    }
    const stop = clock.after(Math.max(0, until - clock.now()), () => entry.reject(refuse('time')))
    const listener = onAbort(signal, () => entry.reject(signal?.reason))
    this.#requesters.set(requester, (this.#requesters.get(requester) ?? new Set()).add(entry))
    this.#size += 1
    return turn.promise
  }

  #remove(requester: string, entry: Entry): void {
    const own = this.#requesters.get(requester)
    own?.delete(entry)
    this.#size -= 1
    if (own?.size === 0) this.#requesters.delete(requester)
  }
}
