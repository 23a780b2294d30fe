/**
 * The cache of blobs on the disk, as a wrapper around an OpenBlob. Each blob is fetched from upstream once, however many clients request
 * it. The first reader starts a fill, later readers follow the fill, and after its end readers read the stored file. Access was decided
 * before, for cached blobs as for all others.
 */
import type { Digest } from '../../oci/reference.ts'
import { EntryChecks } from '../../storage/entry-checks.ts'
import type { Fill } from '../../storage/fill.ts'
import type { StoredFile } from '../../storage/stored-file.ts'
import type { Blob, BlobRequest, OpenBlob } from '../../oci/image-source.ts'
import { byteRangeOf } from '../resilience/byte-range.ts'
import type { BlobCacheOptions, BlobTier } from './blob-cache-options.ts'
import { BlobFills, FillsTaken } from './blob-fills.ts'
import { entityTagOf, isWhole, requestedRanges, stretchesOf, type RangeSpec } from './requested-ranges.ts'
import { storedAnswer } from './stored-answer.ts'
import { createStoredBody, type StoredSource } from './stored-body.ts'
import { createVerifiedBody, repeatingWrong } from './verified-body.ts'

/** Each fill holds a descriptor, a connection to upstream, and two buffers. */
const defaultMaxFills = 256
/** A reader that starts further ahead of a fill gets its bytes from upstream, instead of waiting for the fill. */
const maxAheadBytes = 8 * 1024 * 1024

export const createBlobCache = (options: BlobCacheOptions): OpenBlob => {
  const cache = new BlobCache(options)
  return async (request) => await cache.open(request, true)
}

class BlobCache {
  readonly #options: BlobCacheOptions
  readonly #fills: BlobFills
  readonly #checks: EntryChecks

  constructor(options: BlobCacheOptions) {
    const { open, s3, sizeOf, storage, maxFills = defaultMaxFills } = options
    this.#options = options
    this.#fills = new BlobFills({ open, s3, sizeOf, maxFills, blobs: storage.blobs })
    this.#checks = new EntryChecks({ ...options.checks, store: storage.blobs })
  }

  /** @param mayRepeat whether the request may be repeated after wrong bytes of the store */
  async open(request: BlobRequest, mayRepeat: boolean): Promise<Blob> {
    const located = await this.#options.s3?.locate(request)
    if (located !== undefined) return this.#counted('redirected', located)
    return await this.#serveOrFill(request, requestedRanges(request), mayRepeat)
  }

  async #serveOrFill(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    mayRepeat: boolean,
  ): Promise<Blob> {
    const { digest, method } = request
    const { isStuck } = this.#options.storage
    const running = this.#fills.running(digest)
    if (running !== undefined) return await this.#follow(request, specs, running, 'shared', mayRepeat)
    const file = isStuck() ? undefined : await this.#find(request, specs)
    if (file === 'unverified') return await this.#serveWhileChecked(request, specs, mayRepeat)
    if (file !== undefined) return this.#serveFile(request, specs, file, mayRepeat)
    // Another request may have started a fill meanwhile.
    const begun = this.#fills.running(digest)
    if (begun !== undefined) return await this.#follow(request, specs, begun, 'shared', mayRepeat)
    const mayFill = specs === undefined || (specs.length === 1 && specs[0]?.first === 0)
    if (method === 'HEAD' || !mayFill || isStuck() || request.priority === 'background')
      return await this.#bypass(request, specs, mayRepeat)
    return await this.#begin(request, specs, mayRepeat)
  }

  /** An entry of which a part is wanted is compared with its digest before any byte of it is sent. */
  async #find(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
  ): Promise<StoredFile | 'unverified' | undefined> {
    const { digest, requester, method } = request
    const file = await this.#options.storage.blobs.find(digest, requester)
    if (file === undefined || file.isVerified || method === 'HEAD' || isWhole(specs, file.size)) return file
    await file.close()
    return await this.#checks.find(request, true)
  }

  /** The part comes from upstream. If upstream cannot send it, the client waits for the end of the check. */
  async #serveWhileChecked(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    mayRepeat: boolean,
  ): Promise<Blob> {
    try {
      return await this.#bypass(request, specs, mayRepeat)
    } catch (error) {
      const file = await this.#checks.find(request, false)
      if (file === undefined || file === 'unverified') throw error
      return this.#serveFile(request, specs, file, mayRepeat)
    }
  }

  #serveFile(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    file: StoredFile,
    mayRepeat: boolean,
  ): Blob {
    this.#options.s3?.offer(request)
    return this.#serve(request, specs, file, 'disk', mayRepeat, () => void file.close())
  }

  async #follow(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    fill: Fill,
    tier: BlobTier,
    mayRepeat: boolean,
  ): Promise<Blob> {
    const stretches = specs === undefined ? [] : stretchesOf(specs, fill.size)
    const isFar = stretches.some(({ start }) => start > fill.available + maxAheadBytes)
    if (isFar && request.method === 'GET') return await this.#bypass(request, specs, mayRepeat)
    fill.enter()
    const source = {
      size: fill.size,
      read: async (into: Buffer, position: number) => await fill.read(into, position, request.requester),
      prefix: (position: number) => fill.prefix(position),
    }
    return this.#serve(request, specs, source, tier, mayRepeat, () => fill.leave())
  }

  #serve(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    source: StoredSource & { readonly size: number },
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
        body: createStoredBody({ request, ...head, source, buffers, size, parts, open, again, onEnd }),
      }
    } catch (error) {
      close()
      throw error
    }
  }

  /** The answer of S3 or upstream, with the entity tag of the stored blob. */
  async #bypass(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    mayRepeat: boolean,
  ): Promise<Blob> {
    const { open, s3 } = this.#options
    const found = await s3?.open(request, specs)
    if (found !== undefined) return this.#counted('s3', found)
    const range = specs === undefined ? undefined : request.range
    const blob = await this.#counted('bypassed', open({ ...request, range, ifRange: undefined }))
    return this.#verified(request, blob, mayRepeat)
  }

  /**
   * An answer of upstream that is not stored. If it is the whole blob, the client does not get the last bytes unless all bytes are right.
   */
  #verified(request: BlobRequest, blob: Blob, mayRepeat: boolean): Blob {
    const { digest } = request
    const relabelledBlob = relabelled(digest, blob)
    if (blob.body === undefined || blob.status === 307) return relabelledBlob
    const range = byteRangeOf(blob, this.#options.sizeOf(digest))
    const size = range?.total
    if (range === undefined ? blob.status !== 200 : range.start > 0 || range.end !== size)
      return relabelledBlob
    const again = mayRepeat ? async () => await this.open(request, false) : undefined
    const body = createVerifiedBody({ body: blob.body, digest, size })
    return { ...relabelledBlob, body: repeatingWrong(body, relabelledBlob.headers, again) }
  }

  #counted<Answer>(tier: BlobTier, blob: Answer): Answer {
    this.#options.observe.served(tier)
    return blob
  }

  async #begin(
    request: BlobRequest,
    specs: readonly RangeSpec[] | undefined,
    mayRepeat: boolean,
  ): Promise<Blob> {
    try {
      const { answer, source } = await this.#fills.begin(request)
      const tier = answer.isFromS3 ? 's3' : 'live'
      if ('fill' in answer)
        return await this.#follow(request, specs, answer.fill, source === 'live' ? tier : 'shared', mayRepeat)
      if (source === 'live' && specs !== undefined) await answer.blob.body?.discard()
      if (source !== 'live' || specs !== undefined) return await this.#bypass(request, specs, mayRepeat)
      const { signal, digest } = request
      signal?.addEventListener('abort', () => answer.claim.abort(signal.reason), { once: true })
      if (answer.isFromS3) return this.#counted('s3', relabelled(digest, answer.blob))
      return this.#counted('bypassed', this.#verified(request, answer.blob, mayRepeat))
    } catch (error) {
      if (!(error instanceof FillsTaken)) throw error
      return await this.#bypass(request, specs, mayRepeat)
    }
  }
}

const relabelled = (digest: Digest, blob: Blob): Blob => {
  if (blob.status === 307) return blob
  const { 'last-modified': _lastModified, ...headers } = blob.headers
  return { ...blob, headers: { ...headers, etag: entityTagOf(digest) } }
}
