/**
 * Those who wait for the same scarce thing, one of each asker in turn. Whoever has much waiting keeps nobody else from anything:
 * who comes with one request is behind one request of each of the others, not behind all of them.
 */
import type { Clock } from './clock.ts'

/** Why somebody is sent away: too much of their own waits, everybody together does, or their turn did not come in time. */
export type SentAway = 'own-queue' | 'queue' | 'time'

export interface FairQueueOptions {
  readonly maxPerAsker: number
  /** Of all askers together. */
  readonly maxQueued: number
  readonly clock: Clock
  /** What those get who are sent away. */
  readonly refuse: (why: SentAway) => Error
}

export interface Waiting {
  readonly asker: string
  /** Milliseconds of the clock at which waiting has no point any more. */
  readonly until: number
  readonly signal?: AbortSignal | undefined
}

export interface FairQueue {
  /** Resolves when it is this one's turn. @throws what `refuse` makes; the reason of the signal */
  readonly wait: (waiting: Waiting) => Promise<void>
  /** Lets go the first in turn of whom `take` says that they may; false where there is none. */
  readonly next: (take: (asker: string) => boolean) => boolean
  readonly size: () => number
}

interface Entry {
  readonly letGo: () => void
  readonly sendAway: (error: unknown) => void
}

export const createFairQueue = ({ maxPerAsker, maxQueued, clock, refuse }: FairQueueOptions): FairQueue => {
  /** In the order of turns; nobody is in it without an entry. */
  const askers = new Map<string, Set<Entry>>()
  let size = 0

  const remove = (asker: string, entry: Entry): void => {
    const own = askers.get(asker)
    own?.delete(entry)
    size -= 1
    if (own?.size === 0) askers.delete(asker)
  }

  /**
   * Attack: a few askers who fill all the room would shut everybody else out. The newest of whoever has most there goes instead,
   * unless the one who comes would have as much.
   */
  const makeRoom = (asker: string): void => {
    let most = (askers.get(asker)?.size ?? 0) + 1
    let newest: Entry | undefined
    for (const own of askers.values())
      if (own.size > most) {
        most = own.size
        newest = [...own].at(-1)
      }
    if (newest === undefined) throw refuse('queue')
    newest.sendAway(refuse('own-queue'))
  }

  const enter = ({ asker, until, signal }: Waiting): Promise<void> => {
    const turn = Promise.withResolvers<void>()
    const entry: Entry = {
      letGo: () => leave(turn.resolve),
      sendAway: (error) => leave(() => turn.reject(error)),
    }
    const stop = clock.after(Math.max(0, until - clock.now()), () => entry.sendAway(refuse('time')))
    const aborted = () => entry.sendAway(signal?.reason)
    const leave = (settle: () => void): void => {
      remove(asker, entry)
      stop()
      signal?.removeEventListener('abort', aborted)
      settle()
    }
    signal?.addEventListener('abort', aborted)
    askers.set(asker, (askers.get(asker) ?? new Set()).add(entry))
    size += 1
    return turn.promise
  }

  return {
    size: () => size,
    wait: async (waiting) => {
      waiting.signal?.throwIfAborted()
      if ((askers.get(waiting.asker)?.size ?? 0) >= maxPerAsker) throw refuse('own-queue')
      if (size >= maxQueued) makeRoom(waiting.asker)
      await enter(waiting)
    },
    next: (take) => {
      for (const [asker, own] of askers) {
        if (!take(asker)) continue
        // To the end of the turns, with what is left.
        askers.delete(asker)
        askers.set(asker, own)
        const [entry] = own
        entry?.letGo()
        return true
      }
      return false
    },
  }
}
