/**
 * Answers to what never becomes a request: bytes that are not HTTP, heads that are too large or too slow, CONNECT. There is no
 * reply object for these, only the socket; the answer is OCI JSON all the same.
 */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { errorBody, RegistryError } from './errors.ts'

/** Node's own codes of what it could not read, and what to tell; everything else is not HTTP/1.1. */
const refusals: Readonly<Record<string, { status: number; message: string }>> = {
  HPE_HEADER_OVERFLOW: { status: 400, message: 'the head of the request is larger than 64 KiB' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: 'the request took too long to arrive' },
}
const notHttp = { status: 400, message: 'the request is not valid HTTP/1.1' }

/** Returns what was answered, for the log; undefined where the client had left. */
export const answerUnreadable = (
  { code = '' }: NodeJS.ErrnoException,
  socket: Duplex,
): { requestId: string; status: number } | undefined => {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return undefined
  }
  const { status, message } = refusals[code] ?? notHttp
  return { requestId: answerRaw(socket, new RegistryError('UNSUPPORTED', message, { status })), status }
}

/** Writes an error to a bare socket, and ends it. Returns the request id. */
export const answerRaw = (socket: Duplex, error: RegistryError): string => {
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
  // Nobody is told when it cannot be written any more.
  socket.on('error', () => undefined)
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${head.join('')}\r\n${body.toString()}`,
  )
  return requestId
}
