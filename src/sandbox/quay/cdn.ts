/** The storage behind quay: blobs at signed URLs, with ranges. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Answer } from './answers.ts'
import { parseRanges } from './byte-ranges.ts'
import type { ByteRange } from './byte-ranges.ts'
import type { Exchange } from './origin.ts'

/** The robot that pulls. Quay writes it into the query of the signed URL, so the URL must not be logged. */
export interface Signatory {
  readonly username: string
  readonly namespace: string
  readonly repository: string
}

export interface CdnOptions {
  readonly findBlob: (digest: string) => Buffer | undefined
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface Cdn {
  /** A URL below `base`, valid for 60 s. */
  sign(base: string, digest: string, signatory: Signatory): string
  handle(exchange: Exchange): Answer
}

/** Source: quay storage/cloud.py, the default of get_direct_download_url. */
const signedForMs = 60_000

/** The storage behind quay's 302: knows signed URLs and bytes, and no credentials at all. */
export const createCdn = (options: CdnOptions): Cdn => {
  const key = randomBytes(32)
  const signatureOf = (path: string, query: URLSearchParams): Buffer =>
    createHmac('sha256', key).update(`${path}?${query}`).digest()

  const isSigned = (url: URL): boolean => {
    const query = new URLSearchParams(url.search)
    const shown = Buffer.from(query.get('Signature') ?? '', 'base64url')
    query.delete('Signature')
    const expected = signatureOf(url.pathname, query)
    if (shown.length !== expected.length || !timingSafeEqual(shown, expected)) return false
    return Number(query.get('Expires')) * 1000 > options.now()
  }

  return {
    sign: (base, digest, { username, namespace, repository }) => {
      const [algorithm, hex = ''] = digest.split(':')
      const path = `/${algorithm}/${hex.slice(0, 2)}/${hex}`
      const expires = Math.floor((options.now() + signedForMs) / 1000)
      const query = new URLSearchParams({ username, namespace, repo_name: repository, Expires: `${expires}` })
      query.set('Signature', signatureOf(path, query).toString('base64url'))
      return `${base}${path}?${query}`
    },
    handle: ({ method, url, headers }) => {
      if (headers.authorization !== undefined || headers.cookie !== undefined)
        return xmlError(400, 'InvalidArgument', 'Only one auth mechanism allowed')
      if (method !== 'GET' && method !== 'HEAD') return xmlError(405, 'MethodNotAllowed', 'Not allowed')
      if (!isSigned(url)) return xmlError(403, 'AccessDenied', 'Request has expired')
      const [, algorithm, , hex = ''] = url.pathname.split('/')
      const blob = options.findBlob(`${algorithm}:${hex}`)
      if (blob === undefined) return xmlError(404, 'NoSuchKey', 'The specified key does not exist')
      return answerBlob(blob, `"${hex.slice(0, 32)}"`, headers)
    },
  }
}

const xmlError = (status: number, code: string, message: string): Answer => {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`
  return { status, headers: { 'content-type': 'application/xml' }, body: [Buffer.from(body)] }
}

const answerBlob = (blob: Buffer, etag: string, asked: Exchange['headers']): Answer => {
  const headers = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes', etag }
  const stale = asked['if-range'] !== undefined && asked['if-range'] !== etag
  const ranges = stale ? null : parseRanges(asked.range, blob.length)
  if (ranges === null) return { status: 200, headers, body: [blob] }
  const [first, second] = ranges
  if (first === undefined) {
    const refusal = xmlError(416, 'InvalidRange', 'The requested range is not satisfiable')
    return { ...refusal, headers: { ...refusal.headers, 'content-range': `bytes */${blob.length}` } }
  }
  if (second !== undefined) return answerRanges(blob, ranges, headers)
  const slice = blob.subarray(first.first, first.last + 1)
  return { status: 206, headers: { ...headers, 'content-range': contentRange(first, blob) }, body: [slice] }
}

const contentRange = ({ first, last }: ByteRange, blob: Buffer): string =>
  `bytes ${first}-${last}/${blob.length}`

/** Source: https://www.rfc-editor.org/rfc/rfc9110#section-14.6 */
const answerRanges = (
  blob: Buffer,
  ranges: readonly ByteRange[],
  headers: Record<string, string>,
): Answer => {
  const boundary = randomBytes(16).toString('hex')
  const parts = ranges.flatMap((range) => [
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: ${contentRange(range, blob)}\r\n\r\n`,
    ),
    blob.subarray(range.first, range.last + 1),
  ])
  const type = `multipart/byteranges; boundary=${boundary}`
  return {
    status: 206,
    headers: { ...headers, 'content-type': type },
    body: [...parts, Buffer.from(`\r\n--${boundary}--\r\n`)],
  }
}
