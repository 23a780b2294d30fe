/**
 * A bound on connections that nobody can use up for others. Whoever comes when all are taken gets the place of somebody who has
 * more: of the address with the most connections, the newest on which no request is being answered.
 *
 * Attack: thousands of connections with half a head, or none, of one address.
 */
import type { Socket } from 'node:net'
import { hasRequest } from './raw-socket.ts'

export interface ConnectionSharesOptions {
  readonly maxConnections: number
  /** Whether the request on a connection has not arrived whole: it is not being answered yet. */
  readonly isUnfinished: (socket: Socket) => boolean
  /** Called for each connection that is cut. */
  readonly onConnectionCut: () => void
}

/** The connections of one network. */
interface Share {
  size: number
  newest: Connection | undefined
  oldest: Connection | undefined
}

interface Connection {
  readonly raw: Socket
  /** What requests come on: under TLS another one than below. */
  http: Socket
  network: string | undefined
  newer: Connection | undefined
  older: Connection | undefined
}

/** Connections that are looked at for one that has to go: so much a newcomer costs at most. */
const maxLooks = 128

export class ConnectionShares {
  readonly #options: ConnectionSharesOptions
  readonly #connections = new Map<Socket, Connection>()
  readonly #shares = new Map<string, Share>()
  /** By how many connections they have: the largest is found without a search. */
  readonly #bySize: Set<Share>[] = [new Set()]

  constructor(options: ConnectionSharesOptions) {
    this.#options = options
  }

  /**
   * @param raw the TCP connection; it may be cut at once
   * @param network undefined for a proxy that speaks for everybody: it has no share, and is counted all the same
   */
  add(raw: Socket, network: string | undefined): void {
    const connection: Connection = { raw, http: raw, network, newer: undefined, older: undefined }
    this.#connections.set(raw, connection)
    this.#enter(connection)
    raw.once('close', () => this.#remove(connection))
    if (this.#connections.size > this.#options.maxConnections) this.#makeRoom(connection)
  }

  /** The handshake of a connection is over: requests come on the one above it. */
  secured(raw: Socket, http: Socket): void {
    const connection = this.#connections.get(raw)
    if (connection !== undefined) connection.http = http
  }

  /** A proxy has said for whom a connection is. */
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

  /** Of those who have more than the newcomer: nobody is cut for somebody who has as much. */
  #largestIdle(own: number): Connection | undefined {
    let looks = 0
    for (let size = this.#bySize.length - 1; size > own; size--)
      for (const share of this.#bySize[size] as Set<Share>)
        // One that is busy goes to the end, so that the next look begins behind it.
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
    this.#options.onConnectionCut()
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

/** In a share that has others. */
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
