/**
 * Blobs from the disk: an OpenBlob around an OpenBlob. Each blob is fetched from upstream once, however many want it. The first reader
 * begins a fill, later ones follow it, and those after them read the stored file. Whether the requester may have the blob was decided
 * before, for what is here as for everything else.
 */
import { Bulkhead } from '../../concurrency/bulkhead.ts'
import { createSingleFlight, type SingleFlight } from '../../concurrency/single-flight.ts'
import type { Digest } from '../../oci/reference.ts'
import type { Fill } from '../../storage/fill.ts'
import type { ByteSource } from '../../storage/pipe-bytes.ts'
import type { Storage } from '../../storage/storage.ts'
import type { Blob, BlobRequest, OpenBlob } from '../../oci/image-source.ts'
import { PoolExhausted, sharedErrors, UpstreamRateLimited } from '../errors.ts'
import { byteRangeOf } from '../resilience/byte-range.ts'
import { entityTagOf, requestedRanges, stretchesOf, type RangeSpec } from './requested-ranges.ts'
import { storedAnswer } from './stored-answer.ts'
import { createStoredBody } from './stored-body.ts'

/** Where a blob came from. `shared`: it followed the fill of another; `live`: it began one; `bypassed`: nothing of it was stored. */
export type BlobTier = 'disk' | 'shared' | 'live' | 'bypassed'

export interface BlobCacheOptions {
  /** Asks upstream. */
  readonly open: OpenBlob
  readonly storage: Pick<Storage, 'blobs' | 'buffers' | 'isStuck'>
  /** Bytes of a blob, where a manifest says them. */
  readonly sizeOf: (digest: Digest) => number | undefined
  readonly observe: {
    readonly served: (tier: BlobTier) => void
    /** Bytes that clients got from a stored file or a fill. */
    readonly sent: (bytes: number) => void
  }
  /** Fills of all requesters at a time. */
  readonly maxFills?: number
}

/** Each holds a descriptor, a connection to upstream, and two buffers. */
const defaultMaxFills = 256
/** A reader that starts further ahead of a fill gets its bytes from upstream at once, and not when the fill is there. */
const maxAheadBytes = 8 * 1024 * 1024

/** The requester has begun as many fills as they may: theirs alone goes past the store. */
class FillsTaken extends Error {}

/** The one of upstream's answer, if nothing can be filled from it: it is the answer of the requester who began. */
type Begun = { readonly fill: Fill } | { readonly blob: Blob; readonly claim: AbortController }

export const createBlobCache = (options: BlobCacheOptions): OpenBlob => {
  const cache = new BlobCache(options)
  return async (request) => await cache.open(request, true)
}

class BlobCache {
  readonly #options: BlobCacheOptions
  readonly #fills = new Map<Digest, Fill>()
  readonly #flight: SingleFlight<Begun>
  readonly #slots: Bulkhead

  constructor(options: BlobCacheOptions) {
    this.#options = options
    this.#slots = new Bulkhead(options.maxFills ?? defaultMaxFills)
    this.#flight = createSingleFlight({
      callerGone: sharedErrors.callerGone,
      isOfRequester: (error) =>
        error instanceof UpstreamRateLimited || error instanceof PoolExhausted || error instanceof FillsTaken,
      now: () => performance.now(),
    })
  }

  /** @param mayRepeat whether wrong bytes of the store are worth another try */
  async open(request: BlobRequest, mayRepeat: boolean): Promise<Blob> {
    const { digest, requester, method } = request
    const { blobs, isStuck } = this.#options.storage
    const specs = requestedRanges(request)
    const running = this.#running(digest)
    if (running !== undefined) return await this.#follow(request, specs, running, 'shared', mayRepeat)
    const file = isStuck() ? undefined : await blobs.find(digest, requester)
    if (file !== undefined)
      return this.#serve(request, specs, file, 'disk', mayRepeat, () => void file.close())
    // Another request may have begun one while this one looked.
    const begun = this.#running(digest)
    if (begun !== undefined) return await this.#follow(request, specs, begun, 'shared', mayRepeat)
    const isWhole = specs === undefined || (specs.length === 1 && specs[0]?.first === 0)
    if (method === 'HEAD' || !isWhole || isStuck() || request.priority === 'background')
      return await this.#bypass(request, specs)
    return await this.#begin(request, specs, mayRepeat)
  }

  #running(digest: Digest): Fill | undefined {
    const fill = this.#fills.get(digest)
    return fill?.isOpen === true ? fill : undefined
  }

  async #follow(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    fill: Fill,
    tier: 'shared' | 'live',
    mayRepeat: boolean,
  ): Promise<Blob> {
    const stretches = specs === undefined ? [] : stretchesOf(specs, fill.size)
    const isFar = stretches.some(({ start }) => start > fill.available + maxAheadBytes)
    if (isFar && request.method === 'GET') return await this.#bypass(request, specs)
    fill.enter()
    const source = {
      size: fill.size,
      read: async (into: Buffer, position: number) => await fill.read(into, position, request.requester),
    }
    return this.#serve(request, specs, source, tier, mayRepeat, () => fill.leave())
  }

  #serve(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    source: ByteSource & { readonly size: number },
    tier: BlobTier,
    mayRepeat: boolean,
    close: () => void,
  ): Blob {
    const { open, observe, storage } = this.#options
    const { size } = source
    try {
      const { parts, ...head } = storedAnswer(request.digest, size, specs)
      observe.served(tier)
      if (request.method === 'HEAD') {
        close()
        return { ...head, body: undefined }
      }
      const onEnd = (bytes: number) => {
        close()
        observe.sent(bytes)
      }
      const again = mayRepeat ? async () => await this.open(request, false) : undefined
      const { buffers } = storage
      return {
        ...head,
        body: createStoredBody({ request, source, buffers, size, parts, open, again, onEnd }),
      }
    } catch (error) {
      close()
      throw error
    }
  }

  /** As upstream answers, under the entity tag that the stored blob has. */
  async #bypass(request: BlobRequest, specs: readonly RangeSpec[] | undefined): Promise<Blob> {
    const { open, observe } = this.#options
    observe.served('bypassed')
    const range = specs === undefined ? undefined : request.range
    return relabelled(request.digest, await open({ ...request, range, ifRange: undefined }))
  }

  async #begin(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    mayRepeat: boolean,
  ): Promise<Blob> {
    const { digest, requester, signal } = request
    const load = async () => await this.#load(request)
    try {
      const { answer, source } = await this.#flight({ key: digest, requester, signal, load })
      const tier = source === 'live' ? 'live' : 'shared'
      if ('fill' in answer) return await this.#follow(request, specs, answer.fill, tier, mayRepeat)
      if (source !== 'live' || specs !== undefined) return await this.#bypass(request, specs)
      this.#options.observe.served('bypassed')
      signal?.addEventListener('abort', () => answer.claim.abort(signal.reason), { once: true })
      return relabelled(digest, answer.blob)
    } catch (error) {
      if (!(error instanceof FillsTaken)) throw error
      return await this.#bypass(request, specs)
    }
  }

  /** Asks upstream without the signal of the requester, who may leave while others wait. */
  async #load(request: BlobRequest): Promise<Begun> {
    const { open, sizeOf, storage } = this.#options
    const { digest, requester } = request
    if (!this.#slots.take(requester)) throw new FillsTaken()
    const claim = new AbortController()
    let fill: Fill | undefined
    try {
      const blob = await open({ ...request, range: undefined, ifRange: undefined, signal: claim.signal })
      const size = byteRangeOf(blob, sizeOf(digest))?.total ?? 0
      if (blob.status === 200 && size > 0) fill = await storage.blobs.begin(digest, size, requester)
      if (fill === undefined) return await unclaimed(request, blob, claim)
      void this.#drive(request, blob, fill, claim)
      return { fill }
    } finally {
      if (fill === undefined) this.#slots.giveBack(requester)
    }
  }

  /** Until the fill has ended. Never rejects. */
  async #drive({ digest, requester }: BlobRequest, { body }: Blob, fill: Fill, claim: AbortController) {
    this.#fills.set(digest, fill)
    fill.signal.addEventListener('abort', () => claim.abort(fill.signal.reason), { once: true })
    // Those who wait for it enter in this turn of the event loop, if they are still there.
    fill.enter()
    setImmediate(() => fill.leave())
    try {
      await body?.pipeTo(fill.add)
      await fill.complete()
    } catch (error) {
      fill.fail(error)
    }
    if (this.#fills.get(digest) === fill) this.#fills.delete(digest)
    this.#slots.giveBack(requester)
  }
}

const unclaimed = async ({ signal }: BlobRequest, blob: Blob, claim: AbortController): Promise<Begun> => {
  if (signal?.aborted === true) await blob.body?.discard()
  return { blob, claim }
}

const relabelled = (digest: Digest, blob: Blob): Blob => {
  if (blob.status === 307) return blob
  const { 'last-modified': _lastModified, ...headers } = blob.headers
  return { ...blob, headers: { ...headers, etag: entityTagOf(digest) } }
}
