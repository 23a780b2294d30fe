/**
 * Those who wait for the same scarce thing, one of each requester in turn. Whoever has much waiting keeps nobody else from anything:
 * who comes with one request is behind one request of each of the others, not behind all of them.
 */
import type { Clock } from './clock.ts'

/** Why somebody is sent away: too much of their own waits, everybody together does, or their turn did not come in time. */
export type Rejection = 'own-queue' | 'queue' | 'time'

export interface FairQueueOptions {
  readonly maxPerRequester: number
  /** Of all requesters together. */
  readonly maxQueued: number
  readonly clock: Clock
  /** What those get who are sent away. */
  readonly refuse: (why: Rejection) => Error
}

export interface Waiting {
  readonly requester: string
  /** Milliseconds of the clock at which waiting has no point any more. */
  readonly until: number
  readonly signal?: AbortSignal | undefined
}

export interface FairQueue {
  /** Resolves when it is this one's turn. @throws what `refuse` makes; the reason of the signal */
  readonly wait: (waiting: Waiting) => Promise<void>
  /** Lets go the first in turn of whom `take` says that they may; false where there is none. */
  readonly next: (take: (requester: string) => boolean) => boolean
  readonly size: () => number
}

interface Entry {
  readonly grant: () => void
  readonly reject: (error: unknown) => void
}

export const createFairQueue = ({
  maxPerRequester,
  maxQueued,
  clock,
  refuse,
}: FairQueueOptions): FairQueue => {
  /** In the order of turns; nobody is in it without an entry. */
  const requesters = new Map<string, Set<Entry>>()
  let size = 0

  const remove = (requester: string, entry: Entry): void => {
    const own = requesters.get(requester)
    own?.delete(entry)
    size -= 1
    if (own?.size === 0) requesters.delete(requester)
  }

  /**
   * Attack: a few requesters who fill all the room would shut everybody else out. The newest of whoever has most there goes instead,
   * unless the one who comes would have as much.
   */
  const evict = (requester: string): void => {
    let most = (requesters.get(requester)?.size ?? 0) + 1
    let newest: Entry | undefined
    for (const own of requesters.values())
      if (own.size > most) {
        most = own.size
        newest = [...own].at(-1)
      }
    if (newest === undefined) throw refuse('queue')
    newest.reject(refuse('own-queue'))
  }

  const enter = ({ requester, until, signal }: Waiting): Promise<void> => {
    const turn = Promise.withResolvers<void>()
    const entry: Entry = {
      grant: () => leave(turn.resolve),
      reject: (error) => leave(() => turn.reject(error)),
    }
    const stop = clock.after(Math.max(0, until - clock.now()), () => entry.reject(refuse('time')))
    const aborted = () => entry.reject(signal?.reason)
    const leave = (settle: () => void): void => {
      remove(requester, entry)
      stop()
      signal?.removeEventListener('abort', aborted)
      settle()
    }
    signal?.addEventListener('abort', aborted)
    requesters.set(requester, (requesters.get(requester) ?? new Set()).add(entry))
    size += 1
    return turn.promise
  }

  return {
    size: () => size,
    wait: async (waiting) => {
      waiting.signal?.throwIfAborted()
      if ((requesters.get(waiting.requester)?.size ?? 0) >= maxPerRequester) throw refuse('own-queue')
      if (size >= maxQueued) evict(waiting.requester)
      await enter(waiting)
    },
    next: (take) => {
      for (const [requester, own] of requesters) {
        if (!take(requester)) continue
        // To the end of the turns, with what is left.
        requesters.delete(requester)
        requesters.set(requester, own)
        const [entry] = own
        entry?.grant()
        return true
      }
      return false
    },
  }
}
