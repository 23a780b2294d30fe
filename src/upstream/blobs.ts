/**
 * Opens blobs of upstream as a stream: through the redirect to the CDN, with Range, and with the header fields of the CDN.
 */
import { createHash } from 'node:crypto'
import { RegistryError, unavailable } from '../oci/errors.ts'
import type { Digest } from '../oci/reference.ts'
import type { Blob, BlobRequest, Body, OpenBlob } from '../oci/image-source.ts'
import { TransientObjectError } from './errors.ts'
import { mediaTypeOf, single } from './client/response-fields.ts'
import type { SendUpstream, UpstreamResponse } from './request.ts'

/** The header fields that concern the bytes themselves. All others (cookies, names of the CDN, signatures) do not reach the client. */
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
  /** `redirect`: the client is redirected to the storage, with upstream's signed URL. */
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
    if (!matchesRequest(response, range, method)) {
      await response.body.discard()
      throw new TransientObjectError(
        'the upstream registry sent a blob in another form than asked for; try again',
      )
    }
    if (method === 'HEAD') await response.body.discard()
    return { status, headers: headOf(response), body: method === 'HEAD' ? undefined : response.body }
  }

/** The statuses for a header field that is too long: nginx, and RFC 6585 section 5. */
const tooLong = new Set([400, 431])

/** The characters that a header field may have. */
const fieldValue = /^[\t\x20-\x7e]*$/

/**
 * An unreadable range, or one with an unreadable condition, is ignored.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 *
 * Attack: a character beyond ASCII fails before the request is sent, and would count as a failure of upstream: a few of them would open the
 * circuit for everybody.
 */
const sendable = ({
  range,
  ifRange,
}: Pick<BlobRequest, 'range' | 'ifRange'>): Pick<BlobRequest, 'range' | 'ifRange'> =>
  fieldValue.test(`${range ?? ''}${ifRange ?? ''}`)
    ? { range, ifRange }
    : { range: undefined, ifRange: undefined }

/** The digests of the empty blob, which is an empty layer or artifact. */
const emptyDigests = new Set<Digest>(
  ['sha256', 'sha512'].map((algorithm) => `${algorithm}:${createHash(algorithm).digest('hex')}` as Digest),
)

/** A storage without empty objects does not have it, and a redirect may lead nowhere: only upstream itself tells whether it exists. */
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
 * Whether a response matches the request. An unrequested part would pass for the whole blob. HTML is a page about something else
 * (maintenance, a proxy in between): no layer has that type. Only the empty blob has no bytes, and it is requested otherwise. For HEAD, a
 * length of 0 means an unknown length.
 */
const matchesRequest = (
  { status, headers }: UpstreamResponse,
  range: string | undefined,
  method: BlobRequest['method'],
): boolean =>
  mediaTypeOf(headers) !== 'text/html' &&
  (method === 'HEAD' || !isZero(single(headers['content-length']))) &&
  (status === 200 || range !== undefined)

const isZero = (length: string | undefined): boolean => length !== undefined && Number(length) === 0

/** 307, which caches do not store by default: the URL is valid for a minute. The client sends its Range to that URL itself. */
const redirectTo = (location: URL): Blob => ({
  status: 307,
  headers: { location: location.href, 'cache-control': 'no-store', 'content-length': '0' },
  body: undefined,
})

const headOf = ({ headers }: UpstreamResponse): Record<string, string> => {
  const head: Record<string, string> = {}
  for (const name of passedOn) {
    if (headers[name] === undefined) continue
    const value = name === 'content-type' ? typeOf(headers) : single(headers[name])
    if (value !== undefined) head[name] = value
  }
  if (isZero(head['content-length'])) delete head['content-length']
  return head
}

/** The type of several ranges keeps its parameter, which is their separator. */
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
  // Trap 35: a pull of zstd:chunked sends up to 1024 ranges, halves their number on 400, and fails on every other status.
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
  // Without a range in the request, a 416 is not about the request.
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
