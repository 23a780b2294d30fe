/**
 * How many blobs are on their way at once. Each holds a connection for as long as its client takes to read it: whoever is slow with
 * a thousand of them would leave none for the others.
 */
import type { Blob, BlobRequest, OpenBlob } from '../blobs.ts'
import type { Body } from '../body.ts'
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
/** Up to here places go to whoever asks. Those beyond are for askers with less than their share. */
const unsharedPart = 0.75
const backgroundPart = 0.5

/** @throws {ConnectionsTaken} */
export const createPlaces = (options: PlacesOptions): ((open: OpenBlob) => OpenBlob) => {
  const { maxPlaces, maxQueued = defaultMaxQueued, observeRefused, clock = systemClock } = options
  const holdings = createHoldings(maxPlaces)
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
    while (queue.next(holdings.take));
    while (queue.size() === 0 && background.next(holdings.takeBehind));
  }
  const enter = async ({ asker, signal, priority }: BlobRequest): Promise<void> => {
    const isBackground = priority === 'background'
    if (!isBackground && queue.size() === 0 && holdings.take(asker)) return
    const until = clock.now() + (isBackground ? maxBackgroundWaitMs : maxWaitMs)
    const wait = (isBackground ? background : queue).wait({ asker, until, signal })
    pump()
    await wait.catch((error: unknown) => {
      throw failureOf(error)
    })
  }
  const leave = ({ asker, priority }: BlobRequest): void => {
    if (priority === 'background') holdings.leaveBehind()
    else holdings.leave(asker)
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

/** Who holds how many places, and who may have one more. */
const createHoldings = (maxPlaces: number) => {
  /** Places that each asker holds; nobody is in it without one. */
  const held = new Map<string, number>()
  let taken = 0
  /** Of these, by the background, which is none of those who share them. */
  let takenBehind = 0
  return {
    take: (asker: string): boolean => {
      const own = held.get(asker) ?? 0
      // Counted as if one more asker came, so that a newcomer finds a place.
      const share = (maxPlaces - takenBehind) / (held.size + 1)
      const isOpen = taken < maxPlaces * unsharedPart || (taken < maxPlaces && own < share)
      if (!isOpen) return false
      held.set(asker, own + 1)
      taken += 1
      return true
    },
    /** Never in the second half of the places. */
    takeBehind: (): boolean => {
      if (taken >= maxPlaces * backgroundPart) return false
      taken += 1
      takenBehind += 1
      return true
    },
    leave: (asker: string): void => {
      taken -= 1
      const own = held.get(asker) as number
      if (own === 1) held.delete(asker)
      else held.set(asker, own - 1)
    },
    leaveBehind: (): void => {
      taken -= 1
      takenBehind -= 1
    },
  }
}

const holding = (body: Body, leave: () => void): Body => ({
  deliver: async (takePiece) => await body.deliver(takePiece).finally(leave),
  discard: async () => await body.discard().finally(leave),
})
