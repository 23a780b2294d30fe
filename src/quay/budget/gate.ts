/**
 * The way to upstream for requests of one kind: so many at a time, so many a second, and none while upstream asks for a pause. What
 * finds it shut waits for its turn, within bounds.
 */
import type { Clock } from '../../concurrency/clock.ts'
import { createFairQueue, type SentAway, type Waiting } from '../../concurrency/fair-queue.ts'
import { failureOf, UpstreamLimit } from '../failures.ts'
import { createPause } from './pause.ts'
import { createTokenBucket, type Rate } from './token-bucket.ts'

export type Refusal = SentAway | 'paused'

export interface GateOptions {
  /** Undefined: as many a second as there are. */
  readonly rate: Rate | undefined
  /** Requests without a head of an answer. */
  readonly maxInFlight: number
  readonly maxPerAsker: number
  readonly maxQueued: number
  readonly clock: Clock
  readonly observeRefused: (why: Refusal) => void
}

export interface Gate {
  /** Resolves when this one may go; each that has gone must `leave`. @throws {UpstreamTrouble} */
  readonly enter: (waiting: Waiting) => Promise<void>
  readonly leave: () => void
  /** Upstream answered 429 to what was asked at `began`. @returns milliseconds by which nothing is asked for longer */
  readonly limited: (began: number, retryAfterSeconds: number | undefined) => number
  readonly served: (began: number) => void
  /** What those get who cannot go. */
  readonly refuse: (why: Refusal) => UpstreamLimit
}

/** How long a limit that was met once is taken to be there: the busy hours of a day are told from its quiet ones. */
const seenForMs = 600_000

export const createGate = (options: GateOptions): Gate => {
  const { rate, maxInFlight, clock, observeRefused } = options
  const tokens = rate === undefined ? undefined : createTokenBucket(rate, clock.now)
  let limitedAt = -Infinity
  const bucket = () => (rate?.onceSeen !== true || clock.now() - limitedAt < seenForMs ? tokens : undefined)
  const pause = createPause(clock.now)
  let inFlight = 0
  let isPumpDue = false

  const opensInMs = (): number => Math.max(pause.remainingMs(), bucket()?.opensInMs() ?? 0)
  const refuse = (why: Refusal): UpstreamLimit => {
    observeRefused(why)
    // Upstream limits nothing where its answers are what is waited for.
    const isFull = why === 'time' && inFlight >= maxInFlight
    return limitOf(isFull ? 'queue' : why, Math.max(1, Math.ceil(opensInMs() / 1000)))
  }
  const queue = createFairQueue({ ...options, refuse })

  const take = (): boolean => {
    if (inFlight >= maxInFlight || pause.remainingMs() > 0 || bucket()?.take() === false) return false
    inFlight += 1
    return true
  }

  const pump = (): void => {
    while (queue.next(take));
    // Where all places are taken, whoever leaves one pumps again.
    if (isPumpDue || queue.size() === 0 || inFlight >= maxInFlight) return
    isPumpDue = true
    clock.after(opensInMs(), () => {
      isPumpDue = false
      pump()
    })
  }

  const turn = async (waiting: Waiting): Promise<void> => {
    waiting.signal?.throwIfAborted()
    if (queue.size() === 0 && take()) return
    if (clock.now() + pause.remainingMs() >= waiting.until) throw refuse('paused')
    const wait = queue.wait(waiting)
    pump()
    await wait
  }

  return {
    refuse,
    enter: async (waiting) => {
      try {
        await turn(waiting)
      } catch (error) {
        throw failureOf(error)
      }
    },
    leave: () => {
      inFlight -= 1
      pump()
    },
    limited: (began, retryAfterSeconds) => {
      const longerMs = pause.limited(began, retryAfterSeconds)
      limitedAt = clock.now()
      // What has piled up meanwhile is not to go all at once when the pause is over.
      if (longerMs > 0) tokens?.drain(pause.remainingMs())
      return longerMs
    },
    served: pause.served,
  }
}

/**
 * An upstream trouble, even where the asker's own greed is the reason: a manifest that is known is better served from memory, at no
 * cost to upstream, than refused and asked for again.
 */
const limitOf = (why: Refusal, seconds: number): UpstreamLimit => {
  if (why === 'queue')
    return new UpstreamLimit(
      `too many requests wait for the upstream registry; try again in ${seconds} s`,
      seconds,
      'UNAVAILABLE',
    )
  if (why === 'own-queue')
    return new UpstreamLimit(
      `you ask for more at once than the upstream registry grants; send fewer requests at a time, and try again in ${seconds} s`,
      seconds,
    )
  return new UpstreamLimit(`the upstream registry limits requests now; try again in ${seconds} s`, seconds)
}
