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
/** Up to here places go to whoever asks. Those beyond are for askers with less than their share. */
const unsharedPart = 0.75

/** @throws {ConnectionsTaken} */
export const createPlaces = (options: PlacesOptions): ((open: OpenBlob) => OpenBlob) => {
  const { maxPlaces, maxQueued = defaultMaxQueued, observeRefused, clock = systemClock } = options
  /** Places that each asker holds; nobody is in it without one. */
  const held = new Map<string, number>()
  let taken = 0
  const queue = createFairQueue({
    maxPerAsker: maxQueued,
    maxQueued,
    clock,
    refuse: (why) => {
      observeRefused(why)
      return new ConnectionsTaken()
    },
  })

  const take = (asker: string): boolean => {
    const own = held.get(asker) ?? 0
    // Counted as if one more asker came, so that a newcomer finds a place.
    const share = maxPlaces / (held.size + 1)
    const isOpen = taken < maxPlaces * unsharedPart || (taken < maxPlaces && own < share)
    if (!isOpen) return false
    held.set(asker, own + 1)
    taken += 1
    return true
  }
  const pump = (): void => {
    while (queue.next(take));
  }
  const enter = async ({ asker, signal }: BlobRequest): Promise<void> => {
    if (queue.size() === 0 && take(asker)) return
    const wait = queue.wait({ asker, until: clock.now() + maxWaitMs, signal })
    pump()
    await wait.catch((error: unknown) => {
      throw failureOf(error)
    })
  }
  const leave = (asker: string): void => {
    const own = held.get(asker) as number
    if (own === 1) held.delete(asker)
    else held.set(asker, own - 1)
    taken -= 1
    pump()
  }

  return (open) => async (request) => {
    await enter(request)
    let isHeld = true
    const leaveOnce = () => {
      if (isHeld) leave(request.asker)
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
