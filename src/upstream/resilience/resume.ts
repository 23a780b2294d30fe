/**
 * Resumes a broken blob at the byte after the last one received. It is requested again from upstream, because a signed URL lives for a
 * minute, with a Range, and only if the response shows that it is the same blob. The client sees one unbroken body.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.4
 */
import { backoffMs, pause } from '../../concurrency/backoff.ts'
import { unavailable } from '../../oci/errors.ts'
import type { Digest } from '../../oci/reference.ts'
import type { Blob, BlobRequest, OpenBlob, Body, Sink } from '../../oci/image-source.ts'
import { isRetryable, TransientUpstreamError } from '../errors.ts'
import { byteRangeOf, isSameRange, type ByteRange } from './byte-range.ts'

export interface ResumeOptions {
  readonly open: OpenBlob
  /** The size of a blob in bytes, if a manifest states it. */
  readonly sizeOf: (digest: Digest) => number | undefined
  /** Called for each break: whether the stream was resumed, or given up. */
  readonly observe: (outcome: 'resumed' | 'given up') => void
  /** Milliseconds without progress after which a stream is given up. */
  readonly maxWaitMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
  /** From 0 to below 1. */
  readonly random?: () => number
}

/** As long as a restart of upstream, or a short network failure. A client does not wait longer for a byte. */
const defaultMaxWaitMs = 30_000
/** The first attempt comes soon. Jitter spreads the later ones, because many streams may have broken together. */
const backoff = { firstMs: 100, longestMs: 2000 }
/** Fewer bytes between two breaks are no progress: half of what containers/image takes for progress. */
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
 * Trap 21: the length of a HEAD must be that of the GET. The length that upstream sends for HEAD counts if a manifest has the same: a server
 * that sends in chunks, or does not support HEAD, sends none or a wrong one. If GET is a redirect for the client, only HEAD has a length.
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

/** If the length contradicts the manifest, the blob is requested again. The same length twice counts: any manifest may be wrong. */
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
    const deadline = createProgressDeadline(options, extent.start)
    let at = extent.start
    let body = first
    for (;;) {
      const counted = countBytes(sink, (bytes) => {
        // Attack: bytes beyond the announced length would be the beginning of the client's next response.
        if (at + bytes > extent.end)
          throw unavailable('the upstream registry sent more of a blob than it announced')
        at += bytes
      })
      const error = await failureOfDelivery(body, counted.sink)
      if (counted.hasFailed()) throw error
      if (at === extent.end) return
      const cause = error ?? endedEarly()
      if (!(cause instanceof TransientUpstreamError)) throw cause
      deadline.note(at)
      body = await reopen(options, request, { ...extent, start: at }, at === extent.start, deadline, cause)
    }
  },
  discard: async () => await first.discard(),
})

interface CountedSink {
  readonly sink: Sink
  readonly hasFailed: () => boolean
}

/** Tells an error of the sink from one of upstream: only the latter is worth another attempt. */
const countBytes = (sink: Sink, count: (bytes: number) => void): CountedSink => {
  let hasFailed = false
  return {
    sink: (chunk, release) => {
      try {
        count(chunk.length)
        sink(chunk, release)
      } catch (error) {
        hasFailed = true
        throw error
      }
    },
    hasFailed: () => hasFailed,
  }
}

const endedEarly = (): TransientUpstreamError =>
  new TransientUpstreamError('UNAVAILABLE', 'the upstream registry ended a blob before its end')

/** Undefined if the body ended without an error. */
const failureOfDelivery = async (body: Body, sink: Sink): Promise<unknown> => {
  try {
    await body.pipeTo(sink)
    return undefined
  } catch (error) {
    return error
  }
}

/** Opens the rest of a blob. @throws {RegistryError} if upstream does not send it, or sends bytes of another blob */
const reopen = async (
  { open, observe, random = Math.random }: ResumeOptions,
  request: BlobRequest,
  rest: ByteRange,
  isUntouched: boolean,
  deadline: ProgressDeadline,
  cause: unknown,
): Promise<Body> => {
  // If no byte was delivered, the same request is sent again: not every storage supports ranges. A resume is sent without the client's own
  // If-Range: if it did not match, the client was sent the whole blob, and the response would be the whole blob once more.
  const again: BlobRequest = isUntouched
    ? request
    : { ...request, range: `bytes=${rest.start}-${rest.end - 1}`, ifRange: undefined }
  let error = cause
  for (let failures = 0; deadline.lasts(); failures++) {
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

/** A deadline that progress renews. A few bytes do not: a storage that sends a byte at a time would get a thousand requests. */
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

/** Attack: bytes of another blob, or of another offset, would be joined to the first half. */
const checked = async ({ body, ...blob }: Blob, wanted: ByteRange): Promise<Body> => {
  if (body !== undefined && isSameRange(byteRangeOf(blob, wanted.total), wanted)) return body
  await body?.discard()
  throw unavailable('the upstream registry does not go on with the blob where it broke off')
}
