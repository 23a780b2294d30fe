/**
 * Connections of trusted proxies that begin with a header of the PROXY protocol: it is read before TLS and before HTTP, and the
 * connection goes on as if the client had come by itself. Everybody else's connections are taken as they are.
 */
import type { Server, Socket } from 'node:net'
import type { Client } from '../registry/request-context.ts'
import type { ClientAddresses } from './client-address.ts'
import { parseProxyHeader, type ProxyHeader } from './proxy-protocol.ts'

export interface ProxiedConnectionsOptions {
  readonly clients: Pick<ClientAddresses, 'peerOf' | 'introduce' | 'distrust'>
  /** Milliseconds for the header to arrive: proxies send it with their first packet. */
  readonly proxyHeaderMs: number
  /** Called with the client of each connection that was said to be somebody's. */
  readonly onIntroduced: (socket: Socket, client: Client) => void
  /** Called for each connection that is ended, before it is. */
  readonly onConnectionCut: (socket: Socket) => void
}

/**
 * To be called before others listen to the connections of the server. Its own listeners are given a connection once the header is
 * off: from there on it costs a request what it always does, since TLS and HTTP read from the same handle.
 */
export const readProxyHeaders = (server: Server, options: ProxiedConnectionsOptions): void => {
  const { clients, proxyHeaderMs, onIntroduced, onConnectionCut } = options
  const accept = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  const handOver = (socket: Socket): void => {
    for (const listener of accept) listener.call(server, socket)
  }
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (!clients.peerOf(socket).isTrusted) {
      handOver(socket)
      return
    }
    const cut = () => {
      onConnectionCut(socket)
      socket.destroy()
    }
    readHeader(socket, proxyHeaderMs, cut, ({ source, isOwn }) => {
      if (source !== undefined) onIntroduced(socket, clients.introduce(socket, source))
      // Attack: a client whose address the proxy does not know (UNKNOWN, AF_UNSPEC) writes one into X-Forwarded-For.
      else if (!isOwn) clients.distrust(socket)
      handOver(socket)
    })
  })
}

const readHeader = (
  socket: Socket,
  headerMs: number,
  cut: () => void,
  read: (header: Extract<ProxyHeader, { kind: 'whole' }>) => void,
): void => {
  let received: Buffer = Buffer.alloc(0)
  const late = setTimeout(cut, headerMs)
  const onReadable = () => {
    const piece = socket.read() as Buffer | null
    // The end of a connection is readable too.
    if (piece === null) return
    received = received.length === 0 ? piece : Buffer.concat([received, piece])
    const header = parseProxyHeader(received)
    if (header.kind === 'malformed') cut()
    if (header.kind !== 'whole') return
    stop()
    if (received.length > header.length) socket.unshift(received.subarray(header.length))
    read(header)
  }
  const onError = () => undefined
  const stop = () => {
    clearTimeout(late)
    socket.off('readable', onReadable).off('end', cut).off('error', onError).off('close', stop)
  }
  // Attack: a reset before anybody listens for errors would end the process.
  socket.on('readable', onReadable).on('end', cut).on('error', onError).on('close', stop)
}
