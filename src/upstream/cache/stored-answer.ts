/**
 * The answer to a request for a blob whose size is known: the whole blob, a part of it, or several parts in one body.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.6 and #section-15.3.7
 */
import { randomBytes } from 'node:crypto'
import { RegistryError } from '../../oci/errors.ts'
import type { Digest } from '../../oci/reference.ts'
import { entityTagOf, stretchesOf, type RangeSpec, type Stretch } from './requested-ranges.ts'

export interface StoredAnswer {
  readonly status: 200 | 206
  readonly headers: Readonly<Record<string, string>>
  /** Bytes of the blob, and the text between parts. */
  readonly parts: readonly (Stretch | Buffer)[]
}

const contentType = 'application/octet-stream'

/** @throws {RegistryError} SIZE_INVALID (416), if all ranges are outside of the blob */
export const storedAnswer = (
  digest: Digest,
  size: number,
  specs: readonly RangeSpec[] | undefined,
): StoredAnswer => {
  const head = { 'accept-ranges': 'bytes', etag: entityTagOf(digest) }
  if (specs === undefined) return whole(size, head)
  const stretches = stretchesOf(specs, size)
  const [first, second] = stretches
  if (first === undefined)
    throw new RegistryError('SIZE_INVALID', `the range lies outside of ${digest}`, {
      headers: { 'content-range': `bytes */${size}` },
    })
  if (second !== undefined) return multipart(size, head, stretches)
  return {
    status: 206,
    headers: {
      ...head,
      'content-type': contentType,
      'content-length': `${first.end - first.start}`,
      'content-range': contentRange(first, size),
    },
    parts: [first],
  }
}

const whole = (size: number, head: Readonly<Record<string, string>>): StoredAnswer => ({
  status: 200,
  headers: { ...head, 'content-type': contentType, 'content-length': `${size}` },
  parts: [{ start: 0, end: size }],
})

const contentRange = ({ start, end }: Stretch, size: number): string => `bytes ${start}-${end - 1}/${size}`

/** Attack: the same bytes a thousand times in one answer. More than the whole blob is never sent. */
const multipart = (
  size: number,
  head: Readonly<Record<string, string>>,
  stretches: readonly Stretch[],
): StoredAnswer => {
  const bytes = stretches.reduce((sum, { start, end }) => sum + end - start, 0)
  if (bytes >= size) return whole(size, head)
  const boundary = randomBytes(16).toString('hex')
  const parts = stretches.flatMap((stretch) => [
    Buffer.from(
      `\r\n--${boundary}\r\ncontent-type: ${contentType}\r\ncontent-range: ${contentRange(stretch, size)}\r\n\r\n`,
    ),
    stretch,
  ])
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  const framing = parts.reduce((sum, part) => sum + (Buffer.isBuffer(part) ? part.length : 0), end.length)
  return {
    status: 206,
    headers: {
      ...head,
      'content-type': `multipart/byteranges; boundary=${boundary}`,
      'content-length': `${bytes + framing}`,
    },
    parts: [...parts, end],
  }
}
