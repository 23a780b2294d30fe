/**
 * While upstream is away it is not asked by every request: after a few troubles in a row they fail at once, and one at a time finds
 * out beside them whether it is back (two: one for what had trouble before, one for what had none).
 */
import { createBreaker, type BreakerOptions } from '../../breaker.ts'
import { unavailable } from '../../errors.ts'
import type { Ask } from '../dispatcher.ts'
import { ConnectionsTaken, UpstreamLimit, UpstreamTrouble } from '../failures.ts'

/** Upstream was not asked: it had too much trouble just now. Trying again at once is in vain. */
export class UpstreamAway extends UpstreamTrouble {}

export interface OutageOptions extends Pick<BreakerOptions, 'now' | 'retryMs'> {
  readonly ask: Ask
  /** Called for each request that was not asked. */
  readonly observeRefused: () => void
}

/** On a bad day one request in ten has no answer: five of them in a row do once in a hundred thousand. */
const threshold = 5
/**
 * Attack, or a bad day of one image: what is broken upstream by itself is asked for again and again by those who want it, and
 * would keep all others from what is well. Of an upstream that is away everything is.
 */
const minPaths = 3

export const createOutage = ({ ask, observeRefused, ...timing }: OutageOptions): Ask => {
  const create = () =>
    createBreaker({
      ...timing,
      threshold,
      minAbout: minPaths,
      // A limit is an answer, and is seen to elsewhere. Who left says nothing about upstream.
      isTrouble: (error) =>
        error instanceof UpstreamTrouble &&
        !(error instanceof UpstreamLimit) &&
        !(error instanceof AskerLeft),
      isNothing: (error) => error instanceof AskerLeft || error instanceof ConnectionsTaken,
      refuse: () => {
        observeRefused()
        const { message, headers } = unavailable(
          'the upstream registry is away; try again in a moment',
          undefined,
          2,
        )
        return new UpstreamAway('UNAVAILABLE', message, { headers })
      },
    })
  // Blobs come from a storage of their own, which may be away alone.
  const [blobs, others] = [create(), create()]
  return async (request) => {
    const breaker = request.kind === 'blob' ? blobs : others
    let isRefused = false
    try {
      return await breaker(async () => {
        const response = await ask(request).catch((error: unknown) => {
          throw request.signal?.aborted === true
            ? new AskerLeft('UNAVAILABLE', 'nobody waits any more', { cause: error })
            : error
        })
        // It only found out: nobody takes the answer.
        if (isRefused) await response.body.discard()
        return response
      }, request.path)
    } catch (error) {
      isRefused = true
      throw error
    }
  }
}

class AskerLeft extends UpstreamTrouble {}
