/**
 * The connection limit, shared out by network address. At the limit, a newcomer replaces a connection of the address with the most
 * connections: the newest one without a request in progress.
 *
 * Attack: thousands of connections from one address, with half a head or none.
 */
import type { Socket } from 'node:net'
import { hasRequest } from './raw-socket.ts'

export interface ConnectionSharesOptions {
  readonly maxConnections: number
  /** Whether the request on this connection has not arrived as a whole. */
  readonly isUnfinished: (socket: Socket) => boolean
  /** Called for each connection that is cut. */
  readonly observeCut: () => void
}

/** The connections of one network. */
interface Share {
  size: number
  newest: Connection | undefined
  oldest: Connection | undefined
}

interface Connection {
  readonly raw: Socket
  /** The socket of the requests; with TLS it is another one than the TCP connection. */
  http: Socket
  network: string | undefined
  newer: Connection | undefined
  older: Connection | undefined
}

/** Connections that are checked for one to cut: this limits the cost of a newcomer. */
const maxLooks = 128

export class ConnectionShares {
  readonly #options: ConnectionSharesOptions
  readonly #connections = new Map<Socket, Connection>()
  readonly #shares = new Map<string, Share>()
  /** Shares by their number of connections, so the largest is found without a search. */
  readonly #bySize: Set<Share>[] = [new Set()]

  constructor(options: ConnectionSharesOptions) {
    this.#options = options
  }

  /**
   * @param raw the TCP connection; this call may cut it
   * @param network undefined for a proxy that speaks for many clients: it has no share, and its connections count
   */
  add(raw: Socket, network: string | undefined): void {
    const connection: Connection = { raw, http: raw, network, newer: undefined, older: undefined }
    this.#connections.set(raw, connection)
    this.#enter(connection)
    raw.once('close', () => this.#remove(connection))
    if (this.#connections.size > this.#options.maxConnections) this.#makeRoom(connection)
  }

  /** After the TLS handshake: requests come on the TLS socket. */
  secured(raw: Socket, http: Socket): void {
    const connection = this.#connections.get(raw)
    if (connection !== undefined) connection.http = http
  }

  /** After the PROXY protocol header: the connection moves to the share of its client. */
  move(raw: Socket, network: string | undefined): void {
    const connection = this.#connections.get(raw)
    if (connection === undefined) return
    this.#leave(connection)
    connection.network = network
    this.#enter(connection)
  }

  #makeRoom(newcomer: Connection): void {
    const { network } = newcomer
    const own = network === undefined ? 1 : (this.#shares.get(network) as Share).size
    this.#cut(this.#largestIdle(own) ?? newcomer)
  }

  /** Only shares with more connections than the newcomer's lose one. */
  #largestIdle(own: number): Connection | undefined {
    let looks = 0
    for (let size = this.#bySize.length - 1; size > own; size--)
      for (const share of this.#bySize[size] as Set<Share>)
        // A busy connection moves to the end, so that the next check begins behind it.
        for (let left = size; left > 0; left--) {
          if (looks++ === maxLooks) return undefined
          const newest = share.newest as Connection
          if (!hasRequest(newest.http) || this.#options.isUnfinished(newest.http)) return newest
          unlink(share, newest)
          linkOldest(share, newest)
        }
    return undefined
  }

  #cut(connection: Connection): void {
    this.#remove(connection)
    this.#options.observeCut()
    connection.raw.destroy()
  }

  #remove(connection: Connection): void {
    if (this.#connections.delete(connection.raw)) this.#leave(connection)
  }

  #enter(connection: Connection): void {
    const { network } = connection
    if (network === undefined) return
    const share = this.#shares.get(network) ?? { size: 0, newest: undefined, oldest: undefined }
    this.#shares.set(network, share)
    linkNewest(share, connection)
    this.#resize(share, share.size + 1)
  }

  #leave(connection: Connection): void {
    const { network } = connection
    if (network === undefined) return
    const share = this.#shares.get(network) as Share
    unlink(share, connection)
    this.#resize(share, share.size - 1)
    if (share.size === 0) this.#shares.delete(network)
  }

  #resize(share: Share, size: number): void {
    ;(this.#bySize[share.size] as Set<Share>).delete(share)
    share.size = size
    if (size > 0) (this.#bySize[size] ??= new Set()).add(share)
    while (this.#bySize.length > 1 && this.#bySize.at(-1)?.size === 0) this.#bySize.pop()
  }
}

const linkNewest = (share: Share, connection: Connection): void => {
  connection.older = share.newest
  if (share.newest === undefined) share.oldest = connection
  else share.newest.newer = connection
  share.newest = connection
}

/** The share must have other connections. */
const linkOldest = (share: Share, connection: Connection): void => {
  const oldest = share.oldest as Connection
  connection.newer = oldest
  oldest.older = connection
  share.oldest = connection
}

const unlink = (share: Share, connection: Connection): void => {
  const { newer, older } = connection
  if (newer === undefined) share.newest = older
  else newer.older = older
  if (older === undefined) share.oldest = newer
  else older.newer = newer
  connection.newer = undefined
  connection.older = undefined
}
