import { once } from 'node:events'
import { createServer as createPlain, type AddressInfo, type Server, type Socket } from 'node:net'
import { lookup } from 'node:dns'
import { createSecureContext, createServer as createTls, type TlsOptions } from 'node:tls'
import type { Test } from 'tap'
import type { Origin } from '../../../src/upstream/http1/origin.ts'
import { createBufferPool } from '../../../src/upstream/http1/buffer-pool.ts'
import { createHttp1, type Http1, type Http1Options } from '../../../src/upstream/http1/http1.ts'

export interface Scripted {
  readonly url: URL
  /** Of every connection, in the order they came; closed ones stay. */
  readonly sockets: readonly Socket[]
  /** Whole request heads. */
  readonly requests: readonly string[]
}

/** A server that answers each request with whatever bytes the script writes. */
export async function scripted(
  test: Test,
  answer: (socket: Socket, request: string, nth: number) => void,
  tls?: TlsOptions,
): Promise<Scripted> {
  const sockets: Socket[] = []
  const requests: string[] = []
  const onSocket = (socket: Socket): void => {
    sockets.push(socket)
    let text = ''
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const request = text.slice(0, end + 4)
        text = text.slice(end + 4)
        answer(socket, request, requests.push(request) - 1)
      }
    })
  }
  const server: Server = tls === undefined ? createPlain(onSocket) : createTls(tls, onSocket)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  const url = new URL(tls === undefined ? `http://127.0.0.1:${port}/a?b=c` : `https://localhost:${port}/a`)
  return { url, sockets, requests }
}

export const patient = { connect: 20_000, head: 20_000, body: 20_000 }

export function streamFor(test: Test, options: Partial<Http1Options> = {}): Http1 {
  const stream = createHttp1({ maxConnections: 2, timeouts: patient, lookupOf: () => lookup, ...options })
  test.teardown(() => stream.close())
  return stream
}

export const originOf = (url: URL, changes: Partial<Origin> = {}): Origin => ({
  url,
  lookup,
  secureContext: createSecureContext(),
  bufferPool: createBufferPool(),
  timeouts: { ...patient, idle: 20_000 },
  now: () => 0,
  ...changes,
})

export const ok = (body: string, fields = ''): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`
