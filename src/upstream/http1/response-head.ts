/**
 * The head of an answer, read strictly: the plain case of HTTP/1.1, whose body is exactly Content-Length bytes, and nothing else.
 * @see https://www.rfc-editor.org/rfc/rfc9112
 *
 * Attack: two readers that disagree on where an answer ends (request smuggling, response splitting). So whatever leaves room for
 * two opinions is not understood here at all; the library, which reads all of HTTP, is asked instead.
 */

/** Upstream answers in a way that only the library reads. The connection is closed; the request can be asked again. */
export class UnsupportedResponse extends Error {
  override readonly name = 'UnsupportedResponse'
}

export interface Head {
  readonly statusCode: number
  /** Lower-case names, no prototype: a field may be called `__proto__`. */
  readonly headers: Record<string, string | string[]>
  /** Bytes of body. */
  readonly contentLength: number
  /** Upstream ends the connection after this answer. */
  readonly isLast: boolean
}

/** What is left of the bytes begins at `bodyAt`. */
export interface ReadHead extends Head {
  readonly bodyAt: number
}

/** A signed URL's head fits many times over; as much as the library accepts from upstream. */
const maxHeadBytes = 32 * 1024

const headEnd = '\r\n\r\n'
const bareLineFeed = /[^\r]\n/
const statusLine = /^HTTP\/1\.1 ([2-5]\d\d) [\t\x20-\x7e]*$/
const interimLine = /^HTTP\/1\.1 10[023] [\t\x20-\x7e]*$/
const fieldName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const fieldValue = /^[\t\x20-\x7e]*$/
/** 15 digits are below 2^53: every length is an exact number. */
const lengthValue = /^\d{1,15}$/
/** No body whatever Content-Length says, or one by other rules. */
const bodiless = new Set([204, 205, 304])
/** Two of these say two things. */
const singles = new Set([
  'content-length',
  'content-range',
  'content-encoding',
  'content-type',
  'docker-content-digest',
  'etag',
  'location',
  'retry-after',
])

/**
 * Takes the bytes as they come, in memory that may change afterwards; undefined while the head is not complete. Interim heads before it
 * are read over; all of them together are as long as one may be.
 * @throws {UnsupportedResponse}
 */
export const createHeadParser = (): ((bytes: Buffer) => ReadHead | undefined) => {
  const next = createTextReader()
  return (bytes) => {
    let from = 0
    let read = next(bytes)
    while (read !== undefined && isInterim(read.text)) {
      from += read.bodyAt
      read = next(bytes.subarray(from))
    }
    return read && { ...parse(read.text), bodyAt: from + read.bodyAt }
  }
}

/** What is left of the bytes after the text of a head, its last line end aside, begins at `bodyAt`. */
type ReadText = (bytes: Buffer) => { readonly text: string; readonly bodyAt: number } | undefined

const createTextReader = (): ReadText => {
  let parts: string[] = []
  let length = 0
  let tail = ''
  return (bytes) => {
    const text = bytes.toString('latin1')
    // The end may lie across two reads; only its neighbourhood is searched, or a head byte by byte would cost its square.
    const seen = tail.length
    const around = tail + text
    const end = around.indexOf(headEnd)
    const bodyAt = end + headEnd.length - seen
    length += end < 0 ? text.length : bodyAt
    if (length > maxHeadBytes) throw new UnsupportedResponse('a head without end')
    if (end < 0) {
      // Its end would be waited for in vain: RFC 9112 lets a reader take a bare LF for the end of a line, and this one does not.
      if (bareLineFeed.test(around)) throw new UnsupportedResponse('a bare LF')
      parts.push(text)
      tail = around.slice(1 - headEnd.length)
      return undefined
    }
    parts.push(text.slice(0, bodyAt))
    const whole = parts.join('').slice(0, -headEnd.length)
    parts = []
    tail = ''
    return { text: whole, bodyAt }
  }
}

/**
 * Nobody asked for a 100, and 102 and 103 tell nothing that is needed here; 101 would be another protocol.
 * @throws {UnsupportedResponse} where it says that a body follows, as no interim head may
 */
const isInterim = (text: string): boolean => {
  const [first = '', ...lines] = text.split('\r\n')
  if (!interimLine.test(first)) return false
  const headers = fieldsOf(lines)
  if ('content-length' in headers || 'transfer-encoding' in headers)
    throw new UnsupportedResponse('an interim answer with a body')
  return true
}

const parse = (text: string): Head => {
  const [first = '', ...lines] = text.split('\r\n')
  const statusCode = Number(statusLine.exec(first)?.[1])
  if (Number.isNaN(statusCode) || bodiless.has(statusCode)) throw new UnsupportedResponse('a status line')
  const headers = fieldsOf(lines)
  const { 'content-length': contentLength, 'transfer-encoding': coding, connection = '' } = headers
  if (coding !== undefined) throw new UnsupportedResponse('a transfer coding')
  if (typeof contentLength !== 'string' || !lengthValue.test(contentLength))
    throw new UnsupportedResponse('no length')
  return {
    statusCode,
    headers,
    contentLength: Number(contentLength),
    isLast: /\bclose\b/i.test(String(connection)),
  }
}

const fieldsOf = (lines: readonly string[]): Head['headers'] => {
  const headers = Object.create(null) as Head['headers']
  for (const line of lines) addField(headers, line)
  return headers
}

/**
 * A line that begins with a space (an obsolete continuation) has no name, a bare CR or LF is in no value, nor around it: none of
 * these passes.
 */
const addField = (headers: Head['headers'], line: string): void => {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(colon, 0)).toLowerCase()
  const untrimmed = line.slice(colon + 1)
  if (!fieldName.test(name) || !fieldValue.test(untrimmed)) throw new UnsupportedResponse('a field line')
  const value = untrimmed.trim()
  const before = headers[name]
  if (before === undefined) headers[name] = value
  else if (singles.has(name)) throw new UnsupportedResponse(`two fields ${name}`)
  else headers[name] = [before, value].flat()
}
