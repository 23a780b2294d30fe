/**
 * The stages of a connection before its first request: its address, and the connection limit.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { ClientAddresses } from './client-address.ts'
import { ConnectionShares } from './connection-shares.ts'
import { readProxyHeaders } from './proxied-connections.ts'
import { rawSocketOf } from './raw-socket.ts'
import { UnfinishedHeads } from './unfinished-heads.ts'

type Reason = 'connections' | 'heads' | 'proxy-protocol'

export interface ConnectionsOptions {
  readonly maxConnections: number
  readonly maxHeadBytes: number
  readonly headSweepMs: number
  readonly proxyHeaderMs: number
  readonly clients: ClientAddresses
  /** Whether connections of trusted proxies begin with a header of the PROXY protocol. */
  readonly proxyProtocol: boolean
  readonly isUnfinished: (socket: Socket) => boolean
  readonly observeShed: (reason: Reason) => void
  readonly cutObserverFor: (reason: Reason) => (socket: Socket) => void
}

/** For the lifetime of the server. Must be called before other listeners of its connections are added. */
export const guardConnections = (server: Server, options: ConnectionsOptions): void => {
  const { clients, isUnfinished, maxConnections } = options
  const shares = new ConnectionShares({
    maxConnections,
    isUnfinished,
    // No log line for each: an attack would fill the log.
    observeCut: () => options.observeShed('connections'),
  })
  const heads = new UnfinishedHeads(server, {
    ...options,
    holderOf: (socket) => clients.peerOf(socket).network,
    onConnectionCut: options.cutObserverFor('heads'),
  })
  if (options.proxyProtocol)
    readProxyHeaders(server, {
      ...options,
      onIntroduced: (socket, client) => shares.move(socket, client.network),
      onConnectionCut: options.cutObserverFor('proxy-protocol'),
    })
  server.on('connection', (socket) => {
    const peer = clients.peerOf(socket)
    shares.add(socket, peer.isTrusted ? undefined : peer.network)
  })
  const isTls = server instanceof TlsServer
  server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
    if (isTls) shares.secured(rawSocketOf(socket), socket)
    heads.add(socket)
  })
  server.on('request', ({ socket }) => heads.arrived(socket))
}
