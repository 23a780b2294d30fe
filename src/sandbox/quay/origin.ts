/** An HTTP server that records its requests, breaks those that a fault rule names, and leaves the others to a handler. */
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { applyFault, htmlAnswer, writeAnswer } from './answers.ts'
import type { Answer } from './answers.ts'
import type { Fault, Faults, OriginName } from './faults.ts'

/** A request as it arrived, for tests to count and to search. `status` is 0 before there is a response. */
export interface RecordedRequest {
  readonly origin: OriginName
  readonly method: string
  /** Path and query, as sent. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly status: number
}

/** The input of a handler. `url` is built on the origin's own address, never on the Host header. */
export interface Exchange {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingHttpHeaders
  /** The body of a push; empty for all other requests. */
  readonly body: Buffer
  /** The address of the client from the socket; undefined after it has left. */
  readonly address: string | undefined
  readonly fault: Fault
}

export interface TlsOptions {
  readonly key: string | Buffer
  readonly cert: string | Buffer
}

export interface OriginOptions {
  readonly name: OriginName
  /** The host name in the URL; the socket listens on 127.0.0.1 whatever it says. */
  readonly host: string
  readonly tls?: TlsOptions | undefined
  readonly faults: Faults
  /** In the order of arrival; empty if requests are not recorded. */
  readonly requests?: RecordedRequest[] | undefined
  /** Called with each request when its answer is known. */
  readonly onAnswer?: (request: RecordedRequest) => void
  readonly handle: (exchange: Exchange) => Answer | Promise<Answer>
}

export interface Origin {
  readonly url: string
  close(): Promise<void>
}

/** A zstd:chunked pull names up to 1024 ranges in one header, about 25 kB: beyond Node's default of 16 kB. */
const maxHeaderSize = 64 * 1024

/** One HTTP(S) server on a free port: records, breaks what a fault rule says, and leaves the answer to `handle`. */
export const startOrigin = async (options: OriginOptions): Promise<Origin> => {
  let url = ''
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    exchange(options, url, request, response).catch(() => response.destroy())
  }
  const { tls } = options
  const server: Server =
    tls === undefined
      ? createServer({ maxHeaderSize }, serve)
      : createTlsServer({ maxHeaderSize, key: tls.key, cert: tls.cert }, serve)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  url = `${tls === undefined ? 'http' : 'https'}://${options.host}:${port}`
  return { url, close: async () => await closeServer(server) }
}

const closeServer = async (server: Server): Promise<void> => {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

/** The methods of a push. */
const pushes: ReadonlySet<string> = new Set(['POST', 'PATCH', 'PUT'])

const exchange = async (
  options: OriginOptions,
  origin: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const { method = '', url = '', headers } = request
  const record = { origin: options.name, method, url, headers, status: 0 }
  options.requests?.push(record)
  // An unread request body would cause a reset at the end of the connection.
  if (!pushes.has(method)) request.resume()
  const body = pushes.has(method) ? await buffer(request) : Buffer.alloc(0)
  const fault = options.faults.take(options.name, method, url)
  if (fault.delayMs !== undefined) await setTimeout(fault.delayMs, undefined, { ref: false })
  if (fault.reset === true) response.destroy()
  fault.raw?.(request, response)
  if (fault.hang === true || fault.reset === true || fault.raw !== undefined || response.destroyed) return
  const target = URL.parse(origin + url)
  const address = request.socket.remoteAddress
  const decided =
    target === null
      ? htmlAnswer(400)
      : await options.handle({ method, url: target, headers, body, address, fault })
  const answer = applyFault(decided, fault)
  record.status = answer.status
  options.onAnswer?.(record)
  await writeAnswer(response, answer, fault)
}
