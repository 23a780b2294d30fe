/**
 * Parses the head of a response strictly: only the plain case of HTTP/1.1, whose body is exactly Content-Length bytes.
 * @see https://www.rfc-editor.org/rfc/rfc9112
 *
 * Attack: two readers disagree about where a response ends (request smuggling, response splitting). So this parser rejects everything
 * that can be read in two ways, and the request is sent again through undici, which reads all of HTTP.
 */

/** Only undici can read this response. The connection is closed; the request can be sent again. */
export class UnsupportedResponse extends Error {
  override readonly name = 'UnsupportedResponse'
  /** The status of the response, if its head could be read and only its body cannot. */
  readonly statusCode: number | undefined

  constructor(message: string, statusCode?: number) {
    super(message)
    this.statusCode = statusCode
  }
}

export interface Head {
  readonly statusCode: number
  /** Lower-case names, no prototype: a field can be called `__proto__`. */
  readonly headers: Record<string, string | string[]>
  /** Bytes of body. */
  readonly contentLength: number
  /** Upstream closes the connection after this response. */
  readonly isLast: boolean
}

/** The bytes after the head begin at `bodyAt`. */
export interface ReadHead extends Head {
  readonly bodyAt: number
}

/** The head with a signed URL fits many times over. undici accepts the same from upstream. */
const maxHeadBytes = 32 * 1024

const headEnd = '\r\n\r\n'
const bareLineFeed = /[^\r]\n/
const statusLine = /^HTTP\/1\.1 ([2-5]\d\d) [\t\x20-\x7e]*$/
const interimLine = /^HTTP\/1\.1 10[023] [\t\x20-\x7e]*$/
const fieldName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const fieldValue = /^[\t\x20-\x7e]*$/
/** 15 digits are below 2^53, so every length is an exact number. */
const lengthValue = /^\d{1,15}$/
/** They have no body whatever Content-Length says, or one by other rules. */
const bodiless = new Set([204, 205, 304])
/** Two of these could contradict each other. */
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
 * Takes the bytes as they come, in memory that may change afterwards. The result is undefined until the head is complete. Interim heads
 * before it are skipped; all of them together have the size limit of one head.
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

/** The text of a head without its last line end. The bytes after it begin at `bodyAt`. */
type ReadText = (bytes: Buffer) => { readonly text: string; readonly bodyAt: number } | undefined

const createTextReader = (): ReadText => {
  let parts: string[] = []
  let length = 0
  let tail = ''
  return (bytes) => {
    const text = bytes.toString('latin1')
    // The end may lie across two reads. Searching the whole head again for each byte would take quadratic time.
    const seen = tail.length
    const around = tail + text
    const end = around.indexOf(headEnd)
    const bodyAt = end + headEnd.length - seen
    length += end < 0 ? text.length : bodyAt
    if (length > maxHeadBytes) throw new UnsupportedResponse('a head that is too long')
    if (end < 0) {
      // RFC 9112 lets a reader take a bare LF for the end of a line. This one does not, so it would wait for the end in vain.
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
 * An unrequested 100, a 102 and a 103 carry nothing that is needed here. 101 would be another protocol.
 * @throws {UnsupportedResponse} if it announces a body, which an interim head must not
 */
const isInterim = (text: string): boolean => {
  if (!text.startsWith('HTTP/1.1 1')) return false
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
  if (coding !== undefined) throw new UnsupportedResponse('a transfer coding', statusCode)
  if (typeof contentLength !== 'string' || !lengthValue.test(contentLength))
    throw new UnsupportedResponse('no length', statusCode)
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

/** A line that begins with a space (an obsolete continuation) and a bare CR or LF are rejected: neither is in a name or a value. */
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
