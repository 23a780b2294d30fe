/**
 * Error responses for input that never becomes a request: bytes that are no HTTP, heads that are too large or too slow, CONNECT. There is
 * only a socket, and no reply object; the response is OCI JSON all the same.
 */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { errorBody, RegistryError } from '../oci/errors.ts'

/** Node's error codes and the matching messages; all other codes mean that the input is no HTTP/1.1. */
const refusals: Readonly<Record<string, { status: number; message: string }>> = {
  HPE_HEADER_OVERFLOW: {
    status: 400,
    message: 'the head of the request is larger than 64 KiB, or has more than 1000 fields',
  },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: 'the request took too long to arrive' },
}
const notHttp = { status: 400, message: 'the request is not valid HTTP/1.1' }

/** Returns the response for the log; undefined if none was sent. */
export const answerMalformed = (
  { code = '' }: NodeJS.ErrnoException,
  socket: Duplex,
  lingerMs: number,
): { requestId: string; status: number } | undefined => {
  // More bytes after our response: the client has nothing more to expect, so the connection ends.
  if (socket.writableEnded) return undefined
  // Without a TLS session no response is possible: Node would wait for the end of the handshake.
  if (code === 'ECONNRESET' || /^ERR_(?:SSL|TLS)_/.test(code) || !socket.writable) {
    socket.destroy()
    return undefined
  }
  const { status, message } = refusals[code] ?? notHttp
  const requestId = answerRaw(socket, new RegistryError('UNSUPPORTED', message, { status }), lingerMs)
  return requestId === undefined ? undefined : { requestId, status }
}

/**
 * Writes an error to a bare socket and ends it. Our side ends at once, so a client that is still sending can read; both sides end after a
 * moment, so a client cannot keep the connection.
 * @param lingerMs milliseconds of that moment
 * @returns the request id; undefined if another response was in progress, whose client would have read the error as part of it
 */
export const answerRaw = (socket: Duplex, error: RegistryError, lingerMs: number): string | undefined => {
  // A failed write has no reader to tell.
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

/** Node's name for the response that uses the socket; Node's own error writer reads the same field. */
const isAnswering = (socket: Duplex & { readonly _httpMessage?: ServerResponse | null }): boolean =>
  socket._httpMessage?.headersSent === true
