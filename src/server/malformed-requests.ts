/**
 * Answers to what never becomes a request: bytes that are not HTTP, heads that are too large or too slow, CONNECT. There is no
 * reply object for these, only the socket; the answer is OCI JSON all the same.
 */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { errorBody, RegistryError } from '../oci/errors.ts'

/** Node's own codes of what it could not read, and what to tell; everything else is not HTTP/1.1. */
const refusals: Readonly<Record<string, { status: number; message: string }>> = {
  HPE_HEADER_OVERFLOW: {
    status: 400,
    message: 'the head of the request is larger than 64 KiB, or has more than 1000 fields',
  },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: 'the request took too long to arrive' },
}
const notHttp = { status: 400, message: 'the request is not valid HTTP/1.1' }

/** Returns what was answered, for the log; undefined where nothing was. */
export const answerMalformed = (
  { code = '' }: NodeJS.ErrnoException,
  socket: Duplex,
  lingerMs: number,
): { requestId: string; status: number } | undefined => {
  // Bytes that come after our last word: whoever sends them has an answer to read, and no time to waste.
  if (socket.writableEnded) return undefined
  // Without a session, there is no way to say anything: Node would wait for a handshake to end first.
  if (code === 'ECONNRESET' || /^ERR_(?:SSL|TLS)_/.test(code) || !socket.writable) {
    socket.destroy()
    return undefined
  }
  const { status, message } = refusals[code] ?? notHttp
  const requestId = answerRaw(socket, new RegistryError('UNSUPPORTED', message, { status }), lingerMs)
  return requestId === undefined ? undefined : { requestId, status }
}

/**
 * Writes an error to a bare socket, and ends it: on our side at once, which lets a client read on that is still sending; on both
 * after a moment, since who never closes theirs would keep the connection.
 * @param lingerMs milliseconds of that moment
 * @returns the request id; undefined where another answer was on its way, in the middle of which it would have been read
 */
export const answerRaw = (socket: Duplex, error: RegistryError, lingerMs: number): string | undefined => {
  // Nobody is told when it cannot be written any more.
  socket.on('error', () => undefined)
  if (isAnswering(socket)) {
    socket.destroy()
    return undefined
  }
  const requestId = randomUUID()
  const body = errorBody(error)
  const fields = {
    ...error.headers,
    'x-request-id': requestId,
    'content-type': 'application/json',
    'content-length': String(body.length),
    connection: 'close',
  }
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${head.join('')}\r\n${body.toString()}`,
  )
  const cut = setTimeout(() => socket.destroy(), lingerMs).unref()
  socket.once('close', () => clearTimeout(cut))
  return requestId
}

/** Node's own name for the answer that has the socket; its own writer of these errors looks at it just so. */
const isAnswering = (socket: Duplex & { readonly _httpMessage?: ServerResponse | null }): boolean =>
  socket._httpMessage?.headersSent === true
