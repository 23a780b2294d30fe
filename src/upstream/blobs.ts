/**
 * Blobs from upstream, as a stream: through the 302 to the CDN, with Range, head as the CDN gives it.
 */
import { createHash } from 'node:crypto'
import { RegistryError, unavailable } from '../oci/errors.ts'
import type { Digest } from '../oci/reference.ts'
import { TransientObjectError } from './errors.ts'
import { mediaTypeOf, single } from './client/response-fields.ts'
import type { Body, Caller, SendUpstream, UpstreamResponse } from './request.ts'

export interface BlobRequest extends Caller {
  readonly method: 'GET' | 'HEAD'
  readonly digest: Digest
  /** The client's Range and If-Range, for the hop that has the bytes. */
  readonly range: string | undefined
  readonly ifRange: string | undefined
}

export interface Blob {
  readonly status: 200 | 206 | 307
  /** Length, type and range, as upstream says them: clients compare them with what they expect. */
  readonly headers: Readonly<Record<string, string>>
  /** Undefined for HEAD and for a redirect. */
  readonly body: Body | undefined
}

/** @throws {RegistryError} BLOB_UNKNOWN, SIZE_INVALID (416), UNAVAILABLE, TOOMANYREQUESTS */
export type OpenBlob = (request: BlobRequest) => Promise<Blob>

/** What of upstream's head concerns the bytes themselves. Everything else (cookies, CDN names, signatures) stays here. */
const passedOn = [
  'content-length',
  'content-type',
  'content-range',
  'accept-ranges',
  'etag',
  'last-modified',
] as const

export interface BlobsOptions {
  readonly send: SendUpstream
  /** `openshift/ci` */
  readonly repository: string
  /** `redirect`: the client is sent to where the bytes are, with upstream's signed URL. */
  readonly delivery: 'stream' | 'redirect'
}

export const createBlobs =
  ({ send, repository, delivery }: BlobsOptions): OpenBlob =>
  async (request) => {
    const { method, digest, requester, signal, priority } = request
    if (emptyDigests.has(digest)) return await emptyBlob(send, repository, request)
    const { range, ifRange } = sendable(request)
    const response = await send({
      method,
      path: `/v2/${repository}/blobs/${digest}`,
      headers: {
        'accept-encoding': 'identity',
        ...(range === undefined ? {} : { range }),
        ...(ifRange === undefined ? {} : { 'if-range': ifRange }),
      },
      kind: 'blob',
      redirects: delivery === 'redirect' ? 'locate' : 'follow',
      requester,
      signal,
      priority,
    })
    const { status, location } = response
    if (location !== undefined) return redirectTo(location)
    if (status !== 200 && status !== 206) throw await refusal(digest, response, range)
    if (!isAsAsked(response, range, method)) {
      await response.body.discard()
      throw new TransientObjectError(
        'the upstream registry sent a blob in another form than asked for; try again',
      )
    }
    if (method === 'HEAD') await response.body.discard()
    return { status, headers: headOf(response), body: method === 'HEAD' ? undefined : response.body }
  }

/** What servers answer to a field that is longer than they read: nginx, and RFC 6585 section 5. */
const tooLong = new Set([400, 431])

/** What a field of a request may hold. */
const fieldValue = /^[\t\x20-\x7e]*$/

/**
 * A range that cannot be read is as good as none, and so is one under a condition that cannot.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 *
 * Attack: a letter beyond ASCII fails before upstream is asked, and would count as its trouble: after a few of them upstream is
 * taken to be away, and nobody is served.
 */
const sendable = ({
  range,
  ifRange,
}: Pick<BlobRequest, 'range' | 'ifRange'>): Pick<BlobRequest, 'range' | 'ifRange'> =>
  fieldValue.test(`${range ?? ''}${ifRange ?? ''}`)
    ? { range, ifRange }
    : { range: undefined, ifRange: undefined }

/** The one blob without bytes: that of an empty layer or artifact, by its two names. */
const emptyDigests = new Set<Digest>(
  ['sha256', 'sha512'].map((algorithm) => `${algorithm}:${createHash(algorithm).digest('hex')}` as Digest),
)

/** A storage that keeps no empty objects cannot be asked for it, and a redirect may lead nowhere: upstream alone says whether it is there. */
const emptyBlob = async (
  send: SendUpstream,
  repository: string,
  { method, digest, requester, signal, priority }: BlobRequest,
): Promise<Blob> => {
  const response = await send({
    method: 'HEAD',
    path: `/v2/${repository}/blobs/${digest}`,
    headers: { 'accept-encoding': 'identity' },
    kind: 'blob',
    redirects: 'ignore',
    requester,
    signal,
    priority,
  })
  if (response.status >= 400) throw await refusal(digest, response, undefined)
  await response.body.discard()
  const headers = { 'content-type': 'application/octet-stream', 'content-length': '0' }
  return { status: 200, headers, body: method === 'HEAD' ? undefined : nothing }
}

const nothing: Body = { pipeTo: async () => undefined, discard: async () => undefined }

/**
 * A part that nobody asked for would pass for the whole; HTML is a page about something else (maintenance, a proxy in between): no image
 * has a layer of it; and only one blob has no bytes, which is not asked for like this. Of HEAD a length of 0 is one that is not known.
 */
const isAsAsked = (
  { status, headers }: UpstreamResponse,
  range: string | undefined,
  method: BlobRequest['method'],
): boolean =>
  mediaTypeOf(headers) !== 'text/html' &&
  (method === 'HEAD' || !isZero(single(headers['content-length']))) &&
  (status === 200 || range !== undefined)

const isZero = (length: string | undefined): boolean => length !== undefined && Number(length) === 0

/** 307, which no cache keeps by itself: the URL is good for a minute. What a client does with it is its own affair, Range included. */
const redirectTo = (location: URL): Blob => ({
  status: 307,
  headers: { location: location.href, 'cache-control': 'no-store', 'content-length': '0' },
  body: undefined,
})

const headOf = ({ headers }: UpstreamResponse): Record<string, string> => {
  const head: Record<string, string> = {}
  for (const name of passedOn) {
    const value = name === 'content-type' ? typeOf(headers) : single(headers[name])
    if (value !== undefined) head[name] = value
  }
  if (isZero(head['content-length'])) delete head['content-length']
  return head
}

/** What separates the ranges of several is a parameter. */
const typeOf = (headers: UpstreamResponse['headers']): string | undefined => {
  const mediaType = mediaTypeOf(headers)
  return mediaType === 'multipart/byteranges' ? single(headers['content-type']) : mediaType
}

const refusal = async (
  digest: Digest,
  response: UpstreamResponse,
  range: string | undefined,
): Promise<RegistryError> => {
  await response.body.discard()
  // Trap 35: a pull of zstd:chunked names up to 1024 ranges, halves their number on 400, and fails on everything else.
  if (range !== undefined && tooLong.has(response.status))
    return new RegistryError(
      'UNSUPPORTED',
      'the upstream registry does not read so many ranges: ask for fewer',
      {
        status: 400,
      },
    )
  if (response.status === 404)
    return new RegistryError(
      'BLOB_UNKNOWN',
      `${digest} is not in QCI: the image it belongs to may have been pruned`,
    )
  // Of a request without a range it is an answer to something else.
  if (response.status === 416 && range !== undefined) {
    const contentRange = single(response.headers['content-range'])
    const headers = contentRange === undefined ? {} : { 'content-range': contentRange }
    return new RegistryError('SIZE_INVALID', `the range lies outside of ${digest}`, { headers })
  }
  return unavailable(
    'the upstream registry returned an unexpected status for the blob; try again',
    new Error(`upstream answered ${response.status}`),
  )
}
