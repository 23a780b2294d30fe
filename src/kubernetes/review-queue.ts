/**
 * A bound on the questions of one kind that are in flight at a time (a bulkhead), shared out by asker. Beyond it askers wait for a
 * moment, one of each in turn; a question whose turn does not come is answered 503 before anything was done for it.
 *
 * Each kind has a queue of its own: a crowd of unknown tokens fills that of TokenReviews, and keeps nobody waiting whose token is
 * known and who is asked about in a SubjectAccessReview. Within it, those who are known go ahead of those who are not.
 *
 * Not p-queue: it has one order for all, or priorities. It cannot take one of each asker in turn, nor bound what each has waiting.
 */
import { Bulkhead } from '../concurrency/bulkhead.ts'
import { systemClock, type Clock } from '../concurrency/clock.ts'
import { createFairQueue } from '../concurrency/fair-queue.ts'
import { unavailable } from '../errors.ts'
import { OwnLoad, ownLoad } from './own-load.ts'

export interface ReviewQueueOptions {
  /** Questions in flight at a time. */
  readonly max: number
  /** Bound on those who wait, for those who go ahead and for the others each. */
  readonly maxQueued: number
  /** Milliseconds to wait at most. Together with a slow answer it stays below what a client waits for a decision. */
  readonly maxWaitMs: number
  /** Called with +1 when a question goes out and -1 when it is answered, or has failed. */
  readonly observeInFlight: (change: 1 | -1) => void
  /** Called for each question that was not asked. */
  readonly observeShed: () => void
  readonly clock?: Clock
}

export interface Turn {
  /** Who asks: an identity, or an address where nobody is known yet. */
  readonly asker: string
  readonly isAhead?: boolean
}

/** @throws {OwnLoad} UNAVAILABLE where it was not asked at all, or was too much; else what `ask` throws */
export type ReviewQueue = <Answer>(turn: Turn, ask: () => Promise<Answer>) => Promise<Answer>

/** Below this part of the bound the API server's 429 is not for what we ask: others load it, and it is away for us. */
const quietPart = 0.25

export const createReviewQueue = (options: ReviewQueueOptions): ReviewQueue => {
  const { max, maxQueued, maxWaitMs, observeInFlight, observeShed, clock = systemClock } = options
  const refuse = () => {
    observeShed()
    return ownLoad()
  }
  const createWaiting = () => createFairQueue({ maxPerAsker: maxQueued, maxQueued, clock, refuse })
  const [ahead, others] = [createWaiting(), createWaiting()]
  const places = new Bulkhead(max)
  const give = (asker: string): void => {
    places.giveBack(asker)
    while (ahead.next(places.take) || others.next(places.take));
  }

  return async ({ asker, isAhead = false }, ask) => {
    const queue = isAhead ? ahead : others
    // Nobody is overtaken: where a place is open to this asker, others wait only because they hold more than their share.
    if (!places.take(asker)) await queue.wait({ asker, until: clock.now() + maxWaitMs })
    observeInFlight(1)
    try {
      return await ask().catch((error: unknown) => {
        const isOurs = !(error instanceof OwnLoad) || places.taken > max * quietPart
        throw isOurs ? error : unavailable(error.message, error)
      })
    } finally {
      observeInFlight(-1)
      give(asker)
    }
  }
}
