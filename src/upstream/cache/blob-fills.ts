/**
 * The fills of blobs that are on: who begins one, from S3 or from upstream, and what becomes of it.
 */
import { Bulkhead } from '../../concurrency/bulkhead.ts'
import { createSingleFlight, type Shared, type SingleFlight } from '../../concurrency/single-flight.ts'
import type { Blob, BlobRequest, OpenBlob } from '../../oci/image-source.ts'
import type { Digest } from '../../oci/reference.ts'
import type { Fill } from '../../storage/fill.ts'
import { WrongContent } from '../../storage/fill-outcome.ts'
import type { Storage } from '../../storage/storage.ts'
import { PoolExhausted, sharedErrors, UpstreamRateLimited } from '../errors.ts'
import { byteRangeOf } from '../resilience/byte-range.ts'
import type { S3Blobs } from './s3-blobs.ts'

export interface BlobFillsOptions {
  /** Sends the request to upstream. */
  readonly open: OpenBlob
  /** Undefined without S3. */
  readonly s3: S3Blobs | undefined
  readonly blobs: Pick<Storage['blobs'], 'begin'>
  /** Bytes of a blob, where a manifest says them. */
  readonly sizeOf: (digest: Digest) => number | undefined
  /** Fills of all requesters at a time. */
  readonly maxFills: number
}

/** The requester has begun as many fills as they may: theirs alone goes past the store. */
export class FillsTaken extends Error {}

/** The blob of upstream, if nothing can be filled from it: it is the answer of the requester who began. */
export type Begun =
  | { readonly fill: Fill; readonly isFromS3: boolean }
  | { readonly blob: Blob; readonly claim: AbortController; readonly isFromS3: boolean }

export class BlobFills {
  readonly #options: BlobFillsOptions
  readonly #fills = new Map<Digest, Fill>()
  readonly #flight: SingleFlight<Begun>
  readonly #slots: Bulkhead

  constructor(options: BlobFillsOptions) {
    this.#options = options
    this.#slots = new Bulkhead(options.maxFills)
    this.#flight = createSingleFlight({
      callerGone: sharedErrors.callerGone,
      isOfRequester: (error) =>
        error instanceof UpstreamRateLimited || error instanceof PoolExhausted || error instanceof FillsTaken,
      now: () => performance.now(),
    })
  }

  /** A fill that a new reader can follow. */
  running(digest: Digest): Fill | undefined {
    const fill = this.#fills.get(digest)
    return fill?.isOpen === true ? fill : undefined
  }

  /** One of a digest at a time, however many want it. @throws {FillsTaken} {RegistryError} */
  async begin(request: BlobRequest): Promise<Shared<Begun>> {
    const { digest, requester, signal } = request
    return await this.#flight({ key: digest, requester, signal, load: async () => await this.#load(request) })
  }

  /** Sends it without the signal of the requester, who may leave while others wait. */
  async #load(request: BlobRequest): Promise<Begun> {
    const { open, s3, sizeOf, blobs } = this.#options
    const { digest, requester } = request
    if (!this.#slots.take(requester)) throw new FillsTaken()
    const claim = new AbortController()
    let fill: Fill | undefined
    try {
      const whole: BlobRequest = { ...request, range: undefined, ifRange: undefined, signal: claim.signal }
      const stored = await s3?.openForFill(whole)
      const blob = stored ?? (await open(whole))
      const size = byteRangeOf(blob, sizeOf(digest))?.total ?? 0
      if (blob.status === 200 && size > 0) fill = await blobs.begin(digest, size, requester)
      const isFromS3 = stored !== undefined
      if (fill !== undefined) {
        void this.#drive(request, blob, fill, claim, isFromS3)
        return { fill, isFromS3 }
      }
      // Another reader of it may be refused, but nobody reads it any more.
      if (request.signal?.aborted === true) await blob.body?.discard()
      return {
        blob: stored === undefined ? blob : (s3 as S3Blobs).withoutFill(whole, stored),
        claim,
        isFromS3,
      }
    } finally {
      if (fill === undefined) this.#slots.giveBack(requester)
    }
  }

  /** Until the fill has ended. Never rejects. */
  async #drive(request: BlobRequest, { body }: Blob, fill: Fill, claim: AbortController, isFromS3: boolean) {
    const { digest, requester } = request
    const { s3 } = this.#options
    this.#fills.set(digest, fill)
    const onEnded = () => {
      const { reason } = fill.signal
      // Before any reader of the fill tries again.
      if (isFromS3 && reason instanceof WrongContent) s3?.wrong(request)
      claim.abort(reason)
    }
    fill.signal.addEventListener('abort', onEnded, { once: true })
    // Those who wait for it enter in this turn of the event loop, if they are still there.
    fill.enter()
    setImmediate(() => fill.leave())
    try {
      await body?.pipeTo(fill.add)
      await fill.complete()
    } catch (error) {
      await fill.fail(error)
    }
    if (this.#fills.get(digest) === fill) this.#fills.delete(digest)
    this.#slots.giveBack(requester)
    if (fill.signal.aborted) return
    if (isFromS3) s3?.filled(request, fill.size)
    else s3?.offer(request)
  }
}
