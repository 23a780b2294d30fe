/**
 * How many blobs are on their way at once. Each holds a connection for as long as its client takes to read it: whoever is slow with
 * a thousand of them would leave none for the others.
 */
import type { Blob, BlobRequest, OpenBlob } from '../blobs.ts'
import type { Body } from '../body.ts'
import { Bulkhead } from '../../concurrency/bulkhead.ts'
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import { ConnectionsTaken, failureOf } from '../failures.ts'
import { createFairQueue, type SentAway } from '../../concurrency/fair-queue.ts'

export interface PlacesOptions {
  /** Of all askers together. */
  readonly maxPlaces: number
  /** Those who wait for one at a time. */
  readonly maxQueued?: number
  readonly observeRefused: (why: SentAway) => void
  readonly clock?: Clock
}

/** A quarter of the requests that may be in progress. */
const defaultMaxQueued = 1024
/** Milliseconds: docker has 15 s for all that comes before the first byte. */
const maxWaitMs = 8000
const maxBackgroundWaitMs = 60_000

/** @throws {ConnectionsTaken} */
export const createPlaces = (options: PlacesOptions): ((open: OpenBlob) => OpenBlob) => {
  const { maxPlaces, maxQueued = defaultMaxQueued, observeRefused, clock = systemClock } = options
  const places = new Bulkhead(maxPlaces)
  const createQueue = () =>
    createFairQueue({
      maxPerAsker: maxQueued,
      maxQueued,
      clock,
      refuse: (why) => {
        observeRefused(why)
        return new ConnectionsTaken()
      },
    })
  const queue = createQueue()
  const background = createQueue()

  const pump = (): void => {
    while (queue.next(places.take));
    while (queue.size() === 0 && background.next(places.takeInBackground));
  }
  const enter = async ({ asker, signal, priority }: BlobRequest): Promise<void> => {
    const isBackground = priority === 'background'
    if (!isBackground && queue.size() === 0 && places.take(asker)) return
    const until = clock.now() + (isBackground ? maxBackgroundWaitMs : maxWaitMs)
    const wait = (isBackground ? background : queue).wait({ asker, until, signal })
    pump()
    await wait.catch((error: unknown) => {
      throw failureOf(error)
    })
  }
  const leave = ({ asker, priority }: BlobRequest): void => {
    if (priority === 'background') places.giveBackInBackground()
    else places.giveBack(asker)
    pump()
  }

  return (open) => async (request) => {
    await enter(request)
    let isHeld = true
    const leaveOnce = () => {
      if (isHeld) leave(request)
      isHeld = false
    }
    let blob: Blob
    try {
      blob = await open(request)
    } catch (error) {
      leaveOnce()
      throw error
    }
    if (blob.body !== undefined) return { ...blob, body: holding(blob.body, leaveOnce) }
    leaveOnce()
    return blob
  }
}

const holding = (body: Body, leave: () => void): Body => ({
  deliver: async (takePiece) => await body.deliver(takePiece).finally(leave),
  discard: async () => await body.discard().finally(leave),
})
