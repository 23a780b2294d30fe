/**
 * A concurrency limit (bulkhead) for the reviews of one kind, with a share for each requester. Reviews over the limit wait for a moment,
 * and the requesters take turns; a review without a turn is answered 503, and was not sent.
 *
 * Each kind of review has a queue of its own: a flood of unknown tokens fills the queue of TokenReviews, and does not delay the
 * SubjectAccessReviews of users with a cached token. Within a queue, tokens that were accepted before go ahead of the others.
 *
 * Not p-queue: it has one order for all, or priorities. It cannot take turns between requesters, nor bound what each has waiting.
 */
import { Bulkhead } from '../concurrency/bulkhead.ts'
import { systemClock, type Clock } from '../concurrency/clock.ts'
import { createFairQueue } from '../concurrency/fair-queue.ts'
import { unavailable } from '../oci/errors.ts'
import { ReviewShed, reviewShed } from './review-shed.ts'

export interface ReviewQueueOptions {
  /** Reviews in flight at a time. */
  readonly max: number
  /** Bound on the reviews that wait, for each of the two priorities. */
  readonly maxQueued: number
  /** Milliseconds. With a slow answer, it stays within the deadline of a decision. */
  readonly maxWaitMs: number
  /** Called with +1 when a review is sent, and with -1 when it has ended. */
  readonly observeInFlight: (change: 1 | -1) => void
  /** Called for each review that was not sent. */
  readonly observeShed: () => void
  readonly clock?: Clock
}

export interface Turn {
  /** The name of an identity, or the network of an unknown token. */
  readonly requester: string
  readonly isPriority?: boolean
}

/** @throws {ReviewShed} UNAVAILABLE if the review was not sent, or was too much for the API server; else what `send` throws */
export type ReviewQueue = <Answer>(turn: Turn, send: () => Promise<Answer>) => Promise<Answer>

/** Below this part of the limit, other clients cause the API server's 429, so it counts as unavailable. */
const quietPart = 0.25

export const createReviewQueue = (options: ReviewQueueOptions): ReviewQueue => {
  const { max, maxQueued, maxWaitMs, observeInFlight, observeShed, clock = systemClock } = options
  const refuse = () => {
    observeShed()
    return reviewShed()
  }
  const createWaiting = () => createFairQueue({ maxPerRequester: maxQueued, maxQueued, clock, refuse })
  const [ahead, others] = [createWaiting(), createWaiting()]
  const slots = new Bulkhead(max)
  const release = (requester: string): void => {
    slots.giveBack(requester)
    while (ahead.next(slots.take) || others.next(slots.take));
  }

  return async ({ requester, isPriority = false }, send) => {
    const queue = isPriority ? ahead : others
    // This overtakes no one: if a slot is open to this requester, the others wait because they hold more than their share.
    if (!slots.take(requester)) await queue.wait({ requester, until: clock.now() + maxWaitMs })
    observeInFlight(1)
    try {
      return await send().catch((error: unknown) => {
        const isOurs = !(error instanceof ReviewShed) || slots.taken > max * quietPart
        throw isOurs ? error : unavailable(error.message, error)
      })
    } finally {
      observeInFlight(-1)
      release(requester)
    }
  }
}
