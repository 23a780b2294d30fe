/**
 * A blob whose stream breaks off goes on from the very next byte: asked for anew, since a signed URL lives for a minute, with
 * Range, and only where upstream's answer shows that it is the same blob. The client sees one unbroken body.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.4
 */
import { backoffMs, pause } from '../../concurrency/backoff.ts'
import { unavailable } from '../../oci/errors.ts'
import type { Digest } from '../../oci/reference.ts'
import type { Blob, BlobRequest, OpenBlob } from '../blobs.ts'
import { isRetryable, TransientUpstreamError } from '../errors.ts'
import type { Body, Sink } from '../request.ts'
import { byteRangeOf, isSameRange, type ByteRange } from './byte-range.ts'

export interface ResumeOptions {
  readonly open: OpenBlob
  /** Bytes of a blob, where a manifest says them. */
  readonly sizeOf: (digest: Digest) => number | undefined
  /** Called for each break: whether the stream went on, or was given up. */
  readonly observe: (outcome: 'resumed' | 'given up') => void
  /** Milliseconds without progress after which a stream is given up. */
  readonly maxWaitMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
  /** From 0 to 1. */
  readonly random?: () => number
}

/** Upstream's restart, or a moment without network; a client that waits longer for a byte would rather try elsewhere. */
const defaultMaxWaitMs = 30_000
/** The first attempt comes soon, the later ones not all at once where many streams broke together. */
const backoff = { firstMs: 100, longestMs: 2000 }
/** Less than this between two breaks is no progress: half of what containers/image takes for some. */
const worthwhileBytes = 512 * 1024

export const createResume = (options: ResumeOptions): OpenBlob => {
  const { sizeOf } = options
  return async (request) => {
    const size = sizeOf(request.digest)
    if (request.method === 'HEAD') return await headOf(options, request, size)
    const blob = await openWithExpectedSize(options, request, size)
    const extent = byteRangeOf(blob, size)
    if (blob.body === undefined || extent === undefined) return blob
    return { ...blob, body: resumable(options, request, blob.body, extent) }
  }
}

/**
 * Trap 21: a length that is passed on is the one that GET has. What HEAD says is believed where a manifest says the same: a server that
 * sends in chunks, or knows no HEAD, says nothing or something else. Where GET is a redirect for the client, HEAD alone says it.
 */
const headOf = async (
  { open }: ResumeOptions,
  request: BlobRequest,
  size: number | undefined,
): Promise<Blob> => {
  const head = await open(request)
  const { 'content-length': length, ...headers } = head.headers
  if (head.status !== 200 || (size !== undefined && Number(length) === size)) return head
  const whole = await open({ ...request, method: 'GET' })
  await whole.body?.discard()
  const said = whole.status === 200 ? whole.headers['content-length'] : length
  const found = whole.status === 200 ? (said ?? size) : (size ?? said)
  return {
    ...head,
    headers: { ...headers, ...(found === undefined ? {} : { 'content-length': `${found}` }) },
  }
}

/** A length that contradicts the manifest is asked for again; who says it twice is believed, since any manifest may be wrong. */
const openWithExpectedSize = async (
  { open }: ResumeOptions,
  request: BlobRequest,
  size: number | undefined,
): Promise<Blob> => {
  const blob = await open(request)
  const total = byteRangeOf(blob)?.total
  if (blob.body === undefined || size === undefined || total === undefined || total === size) return blob
  await blob.body.discard()
  return await open(request)
}

const resumable = (options: ResumeOptions, request: BlobRequest, first: Body, extent: ByteRange): Body => ({
  pipeTo: async (sink) => {
    const patience = createProgressDeadline(options, extent.start)
    let at = extent.start
    let body = first
    for (;;) {
      const counted = countBytes(sink, (bytes) => {
        // Attack: more than was announced would be the beginning of the client's next answer.
        if (at + bytes > extent.end)
          throw unavailable('the upstream registry sent more of a blob than it announced')
        at += bytes
      })
      const error = await failureOfDelivery(body, counted)
      if (counted.hasFailed === true) throw error
      if (at === extent.end) return
      if (!(error instanceof TransientUpstreamError)) throw error
      patience.note(at)
      body = await reopen(options, request, { ...extent, start: at }, at === extent.start, patience, error)
    }
  },
  discard: first.discard,
})

interface Counting extends Sink {
  hasFailed?: boolean
}

/** Tells a failure of who takes from one of upstream: only the latter is worth another attempt. */
const countBytes = (sink: Sink, count: (bytes: number) => void): Counting => {
  const counted: Counting = (chunk, release) => {
    try {
      count(chunk.length)
      sink(chunk, release)
    } catch (error) {
      counted.hasFailed = true
      throw error
    }
  }
  return counted
}

const failureOfDelivery = async (body: Body, sink: Sink): Promise<unknown> => {
  try {
    await body.pipeTo(sink)
    return new TransientUpstreamError('UNAVAILABLE', 'the upstream registry ended a blob before its end')
  } catch (error) {
    return error
  }
}

/** The rest. @throws {RegistryError} where there is none to be had, or it is not the rest of the same blob */
const reopen = async (
  { open, observe, random = Math.random }: ResumeOptions,
  request: BlobRequest,
  rest: ByteRange,
  isUntouched: boolean,
  patience: ProgressDeadline,
  cause: unknown,
): Promise<Body> => {
  // Of what was not begun, the same is asked for again: not every storage knows ranges. Of the rest, without the client's own
  // condition: where it did not hold, the client has got the whole, and would get the whole once more.
  const again: BlobRequest = isUntouched
    ? request
    : { ...request, range: `bytes=${rest.start}-${rest.end - 1}`, ifRange: undefined }
  let error = cause
  for (let failures = 0; patience.lasts(); failures++) {
    await pause(backoffMs(failures, backoff, random), request.signal)
    if (request.signal?.aborted === true) throw cause
    try {
      const body = await checked(await open(again), rest)
      observe('resumed')
      return body
    } catch (failure) {
      error = failure
      if (!isRetryable(failure)) break
    }
  }
  observe('given up')
  throw error
}

interface ProgressDeadline {
  readonly note: (at: number) => void
  readonly lasts: () => boolean
}

/** Renewed by what is worth a request: a storage that gives a byte at a time would be asked a thousand times. */
const createProgressDeadline = (
  { maxWaitMs = defaultMaxWaitMs, now = () => performance.now() }: ResumeOptions,
  start: number,
): ProgressDeadline => {
  let notedAt = start
  let until = now() + maxWaitMs
  let isFirst = true
  return {
    note: (at) => {
      if (!isFirst && at - notedAt < worthwhileBytes) return
      isFirst = false
      notedAt = at
      until = now() + maxWaitMs
    },
    lasts: () => now() < until,
  }
}

/** Attack: bytes of another blob, or of another place in it, would be sewn to the first half. */
const checked = async ({ body, ...blob }: Blob, wanted: ByteRange): Promise<Body> => {
  if (body !== undefined && isSameRange(byteRangeOf(blob, wanted.total), wanted)) return body
  await body?.discard()
  throw unavailable('the upstream registry does not go on with the blob where it broke off')
}
