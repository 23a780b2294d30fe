/**
 * Blobs from S3, between the disk and upstream. Waits for S3 are short, and no pull fails because of S3: if it does not send a blob, the
 * result is undefined, and the blob comes from upstream.
 */
import { Bulkhead } from '../../concurrency/bulkhead.ts'
import { unavailable } from '../../oci/errors.ts'
import type { Blob, BlobRequest, Body, OpenBlob } from '../../oci/image-source.ts'
import type { Digest } from '../../oci/reference.ts'
import { WrongContent } from '../../storage/fill-outcome.ts'
import type { S3Tier } from '../../storage/s3/s3-tier.ts'
import type { RoundTrip } from '../client/round-trip.ts'
import type { ByteRange } from '../resilience/byte-range.ts'
import { isWhole, stretchesOf, type RangeSpec, type Stretch } from './requested-ranges.ts'
import { openRest } from './rest-of-blob.ts'
import { createS3Body } from './s3-body.ts'
import { openRanges } from './s3-ranges.ts'
import { holding, rangeIn, unused } from './s3-reply.ts'
import { storedAnswer } from './stored-answer.ts'
import { createVerifiedBody } from './verified-body.ts'

export interface S3BlobsOptions {
  readonly tier: Pick<S3Tier, 'get' | 'sizeOf' | 'urlOf' | 'found' | 'wrong' | 'offer'>
  /** Sends a GET, without redirects. */
  readonly roundTrip: RoundTrip
  /** Opens the blob without S3. */
  readonly open: OpenBlob
  /** The size of a blob in bytes, if a manifest states it. */
  readonly sizeOf: (digest: Digest) => number | undefined
  /** `redirect`: clients are redirected to S3 for objects that it has. */
  readonly delivery: 'stream' | 'redirect'
  readonly observe: {
    /** Called at the end of a body: its bytes from S3, and whether upstream had to send the rest. */
    readonly read: (bytes: number, isBroken: boolean) => void
  }
  /** Maximum of bodies at a time, for all requesters together. */
  readonly maxReads?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Each body has a connection. */
const defaultMaxReads = 512

export class S3Blobs {
  readonly #options: S3BlobsOptions
  readonly #reads: Bulkhead
  readonly #now: () => number

  constructor(options: S3BlobsOptions) {
    const { maxReads = defaultMaxReads, now = () => performance.now() } = options
    this.#options = options
    this.#reads = new Bulkhead(maxReads)
    this.#now = now
  }

  /** Redirects a GET to S3, if S3 has the blob and clients are to be redirected. The client sends its Range there. Never rejects. */
  async locate({ method, digest }: BlobRequest): Promise<Blob | undefined> {
    const { tier, delivery } = this.#options
    if (delivery !== 'redirect' || method !== 'GET') return undefined
    if ((await this.#sizeOf(digest)) === undefined) return undefined
    const url = await tier.urlOf('blobs', digest)
    // 307 is not stored by caches: the URL is valid for a minute.
    return (
      url && {
        status: 307,
        headers: { location: url.href, 'cache-control': 'no-store', 'content-length': '0' },
        body: undefined,
      }
    )
  }

  /**
   * The whole blob, or ranges of it. A whole blob is compared with its digest on the way.
   * @param specs undefined for the whole blob
   * @returns undefined if upstream has to answer. Never rejects
   */
  async open(request: BlobRequest, specs: readonly RangeSpec[] | undefined): Promise<Blob | undefined> {
    if (request.method === 'HEAD') return await this.#head(request, specs)
    if (specs !== undefined && specs.length > 1) return await this.#several(request, specs)
    const found = await this.#read(request, rangeOf(specs?.[0]))
    if (found === undefined) return undefined
    const { total, start, end } = found.range
    const [wanted = whole(total)] = stretchesOf(specs ?? [], total)
    if (wanted.start !== start || wanted.end !== end) return await unused(found.body)
    const body = this.#bodyOf(request, found.body, wanted, total)
    const { parts: _parts, ...head } = storedAnswer(request.digest, total, specs)
    return { ...head, body: isWhole(specs, total) ? this.#verified(request, body, total) : body }
  }

  /** The whole blob for a fill, which compares it with its digest. */
  async openForFill(request: BlobRequest): Promise<Blob | undefined> {
    const found = await this.#read(request, undefined)
    if (found === undefined) return undefined
    const { parts: _parts, ...head } = storedAnswer(request.digest, found.range.total, undefined)
    return { ...head, body: this.#bodyOf(request, found.body, whole(found.range.total), found.range.total) }
  }

  /** Serves a blob of `openForFill` without a fill. */
  withoutFill(request: BlobRequest, { body, ...head }: Blob): Blob {
    const size = Number(head.headers['content-length'])
    return { ...head, body: body && this.#verified(request, body, size) }
  }

  /** Call this if S3 has sent bytes that do not match the digest. */
  wrong({ digest }: BlobRequest): void {
    this.#options.tier.wrong('blobs', digest, 'digest')
  }

  /** Call this when the disk has the bytes from S3. */
  filled({ digest }: BlobRequest, size: number): void {
    this.#options.tier.found('blobs', digest, size)
  }

  /** Call this when the disk has a blob: it is uploaded, unless S3 has it. */
  offer({ digest, requester }: BlobRequest): void {
    this.#options.tier.offer('blobs', digest, requester)
  }

  async #head({ digest }: BlobRequest, specs: readonly RangeSpec[] | undefined): Promise<Blob | undefined> {
    const size = await this.#sizeOf(digest)
    if (size === undefined || stretchesOf(specs ?? [{ first: 0, last: 0 }], size).length === 0)
      return undefined
    const { status, headers } = storedAnswer(digest, size, specs)
    return { status, headers, body: undefined }
  }

  async #several(request: BlobRequest, specs: readonly RangeSpec[]): Promise<Blob | undefined> {
    const { digest } = request
    const size = await this.#sizeOf(digest)
    if (size === undefined) return undefined
    return await openRanges({
      digest,
      size,
      specs,
      openPart: async (part) => {
        const body = await this.#readPart(request, part, size)
        return body && this.#bodyOf(request, body, part, size)
      },
      openRest: this.#restOf(request, size),
    })
  }

  /** Also undefined if a manifest states another size. */
  async #sizeOf(digest: Digest): Promise<number | undefined> {
    const size = await this.#options.tier.sizeOf('blobs', digest)
    return size === (this.#options.sizeOf(digest) ?? size) ? size : undefined
  }

  #verified(request: BlobRequest, body: Body, size: number): Body {
    const { pipeTo, discard } = createVerifiedBody({ body, digest: request.digest, size })
    return {
      pipeTo: async (sink) => {
        try {
          await pipeTo(sink)
        } catch (error) {
          if (!(error instanceof WrongContent)) throw error
          this.wrong(request)
          throw unavailable('the cache has stored other bytes than those of the digest; try again', error)
        }
      },
      discard,
    }
  }

  /**
   * Undefined if S3 does not have the blob, or sends an answer that is not this blob: of another kind, or of another size than its manifest
   * states.
   */
  async #read(
    { digest, requester, signal }: BlobRequest,
    range: string | undefined,
  ): Promise<{ readonly body: Body; readonly range: ByteRange } | undefined> {
    const { tier, roundTrip, sizeOf } = this.#options
    if (!this.#reads.take(requester)) return undefined
    const release = (): void => this.#reads.giveBack(requester)
    const headers = { 'accept-encoding': 'identity', ...(range === undefined ? {} : { range }) }
    const send = async (url: URL, until: AbortSignal) =>
      await roundTrip(url, { kind: 'blob', method: 'GET', headers, signal: until, isErrorBodyUnused: true })
    const reply = await tier.get('blobs', digest, send, signal)
    if (reply === undefined) {
      release()
      return undefined
    }
    const body = holding(reply.body, release)
    const found = rangeIn(reply)
    if (found === undefined || found.total !== (sizeOf(digest) ?? found.total)) return await unused(body)
    return { body, range: found }
  }

  #bodyOf(request: BlobRequest, first: Body, stretch: Stretch, size: number): Body {
    return createS3Body({
      first,
      stretch,
      signal: request.signal,
      reopen: async (rest) => await this.#readPart(request, rest, size),
      openRest: this.#restOf(request, size),
      onEnd: this.#options.observe.read,
      now: this.#now,
    })
  }

  async #readPart(request: BlobRequest, { start, end }: Stretch, size: number): Promise<Body | undefined> {
    const found = await this.#read(request, `bytes=${start}-${end - 1}`)
    if (found === undefined) return undefined
    const { range, body } = found
    return range.start === start && range.end === end && range.total === size ? body : await unused(body)
  }

  #restOf(request: BlobRequest, size: number): (rest: Stretch) => Promise<Body> {
    const { open } = this.#options
    return async (rest) => await openRest({ request, open, now: this.#now }, rest, size)
  }
}

const whole = (size: number): Stretch => ({ start: 0, end: size })

const rangeOf = (spec: RangeSpec | undefined): string | undefined =>
  spec === undefined ? undefined : `bytes=${spec.first ?? ''}-${spec.last ?? ''}`
