/**
 * The running fills: decides who starts one, fills it from S3 or from upstream, and reports its outcome.
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
  /** The size of a blob in bytes, if a manifest states it. */
  readonly sizeOf: (digest: Digest) => number | undefined
  /** Maximum of fills at a time, for all requesters together. */
  readonly maxFills: number
}

/** The requester has too many fills, so this request is answered without the store. */
export class FillsTaken extends Error {}

/** The answer of upstream, if the store cannot be filled from it. It is for the requester that started the fill. */
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

  /** Starts one fill for a digest at a time, however many callers there are. @throws {FillsTaken} {RegistryError} */
  async begin(request: BlobRequest): Promise<Shared<Begun>> {
    const { digest, requester, signal } = request
    return await this.#flight({ key: digest, requester, signal, load: async () => await this.#load(request) })
  }

  /** The signal of the requester is not used, because the requester may leave while others wait. */
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
      // The fill refuses new readers, and nobody reads it any more.
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

  /** Resolves when the fill has ended. Never rejects. */
  async #drive(request: BlobRequest, { body }: Blob, fill: Fill, claim: AbortController, isFromS3: boolean) {
    const { digest, requester } = request
    const { s3 } = this.#options
    this.#fills.set(digest, fill)
    const onEnded = () => {
      const { reason } = fill.signal
      // Runs before any reader of the fill tries again.
      if (isFromS3 && reason instanceof WrongContent) s3?.wrong(request)
      claim.abort(reason)
    }
    fill.signal.addEventListener('abort', onEnded, { once: true })
    // Waiting callers begin to read in this turn of the event loop, unless they have left.
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
