/**
 * The slots of blobs: how many are streamed from upstream at a time, shared out by requester. `concurrency/bulkhead.ts` has the rule of the
 * shares. A request over the limit waits in a fair queue.
 */
import { Bulkhead } from '../../concurrency/bulkhead.ts'
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import { PoolExhausted, toRegistryError } from '../errors.ts'
import { createFairQueue, type FairQueue, type Rejection } from '../../concurrency/fair-queue.ts'
import type { Blob, BlobRequest, OpenBlob, Body } from '../../oci/image-source.ts'

export interface BlobSlotsOptions {
  /** For all requesters together. */
  readonly maxSlots: number
  /** Requests that wait for a slot at a time. */
  readonly maxQueued?: number
  readonly observeRefused: (why: Rejection) => void
  readonly clock?: Clock
}

/** A quarter of the requests that may be in progress. */
const defaultMaxQueued = 1024
/** Milliseconds: docker waits 15 s in total for the first byte. */
const maxWaitMs = 8000
const maxBackgroundWaitMs = 60_000

/** @throws {PoolExhausted} */
export const createBlobSlots = (options: BlobSlotsOptions): ((open: OpenBlob) => OpenBlob) => {
  const slots = new BlobSlots(options)
  return (open) => async (request) => await slots.open(open, request)
}

class BlobSlots {
  readonly #clock: Clock
  readonly #slots: Bulkhead
  readonly #queue: FairQueue
  readonly #backgroundQueue: FairQueue

  constructor(options: BlobSlotsOptions) {
    const { maxSlots, maxQueued = defaultMaxQueued, observeRefused, clock = systemClock } = options
    const refuse = (why: Rejection): PoolExhausted => {
      observeRefused(why)
      return new PoolExhausted()
    }
    const createQueue = () => createFairQueue({ maxPerRequester: maxQueued, maxQueued, clock, refuse })
    this.#clock = clock
    this.#slots = new Bulkhead(maxSlots)
    this.#queue = createQueue()
    this.#backgroundQueue = createQueue()
  }

  async open(open: OpenBlob, request: BlobRequest): Promise<Blob> {
    await this.#acquire(request)
    let isHeld = true
    const release = (): void => {
      if (isHeld) this.#release(request)
      isHeld = false
    }
    try {
      const blob = await open(request)
      if (blob.body !== undefined) return { ...blob, body: holding(blob.body, release) }
      release()
      return blob
    } catch (error) {
      release()
      throw error
    }
  }

  async #acquire({ requester, signal, priority }: BlobRequest): Promise<void> {
    const isBackground = priority === 'background'
    if (!isBackground && this.#queue.size() === 0 && this.#slots.take(requester)) return
    const until = this.#clock.now() + (isBackground ? maxBackgroundWaitMs : maxWaitMs)
    const queue = isBackground ? this.#backgroundQueue : this.#queue
    const wait = queue.wait({ requester, until, signal })
    this.#pump()
    await wait.catch((error: unknown) => {
      throw toRegistryError(error)
    })
  }

  #release({ requester, priority }: BlobRequest): void {
    if (priority === 'background') this.#slots.giveBackInBackground()
    else this.#slots.giveBack(requester)
    this.#pump()
  }

  #pump(): void {
    while (this.#queue.next(this.#slots.take));
    while (this.#queue.size() === 0 && this.#backgroundQueue.next(this.#slots.takeInBackground));
  }
}

const holding = (body: Body, release: () => void): Body => ({
  pipeTo: async (sink) => await body.pipeTo(sink).finally(release),
  discard: async () => await body.discard().finally(release),
})
