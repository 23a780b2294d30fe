/**
 * Connections of trusted proxies that begin with a PROXY protocol header. The header is read before TLS and HTTP; then the connection
 * counts as the client's own. Connections of all other peers are left unchanged.
 */
import type { Server, Socket } from 'node:net'
import type { Client } from '../registry/request-context.ts'
import type { ClientAddresses } from './client-address.ts'
import { parseProxyHeader, type ProxyHeader } from './proxy-protocol.ts'

export interface ProxiedConnectionsOptions {
  readonly clients: Pick<ClientAddresses, 'peerOf' | 'introduce' | 'distrust'>
  /** Milliseconds until the header has arrived: proxies send it in their first packet. */
  readonly proxyHeaderMs: number
  /** Called with the client of each connection whose header names one. */
  readonly onIntroduced: (socket: Socket, client: Client) => void
  /** Called for each connection before it is ended. */
  readonly onConnectionCut: (socket: Socket) => void
}

/**
 * Must be called before other listeners of the server's connections are added. The server's own listeners get a connection after the header
 * is removed. From then on a request costs nothing extra, because TLS and HTTP read from the same handle.
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
      // Attack: a client without a known address (UNKNOWN, AF_UNSPEC) that writes an X-Forwarded-For of its own.
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
    // The end of a connection is a readable event too.
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
  // Attack: a reset before the first error listener would end the process.
  socket.on('readable', onReadable).on('end', cut).on('error', onError).on('close', stop)
}
