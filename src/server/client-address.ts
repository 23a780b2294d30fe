/**
 * The address of a request's client. Only this file reads the peer of a connection and `X-Forwarded-For`. All others read
 * `request.client`, which is an IP address or `unknown`, whatever a client writes.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import ipaddr from 'ipaddr.js'
import { networkOf, parseAddress } from '../access/ip-address.ts'
import type { Client } from '../registry/request-context.ts'
import { rawSocketOf } from './raw-socket.ts'

interface Peer extends Client {
  readonly isTrusted: boolean
}

/** Proxies in a row, empty entries included. Real chains have a handful. */
const maxHops = 32

export class ClientAddresses {
  readonly #isTrusted: (address: string) => boolean
  readonly #peers = new WeakMap<Socket, Peer>()
  /** The last X-Forwarded-For of a connection with its result: a router repeats it for the requests of one client. */
  readonly #last = new WeakMap<Socket, { readonly header: string; readonly client: Client }>()

  /** @param trustedProxies addresses and networks whose X-Forwarded-For is believed */
  constructor(trustedProxies: readonly string[]) {
    this.#isTrusted = matcherOf(trustedProxies)
  }

  /** The nearest address that is no trusted proxy. */
  of({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>): Client {
    const peer = this.peerOf(socket)
    const header = peer.isTrusted ? (headers['x-forwarded-for'] as string | undefined) : undefined
    if (header === undefined) return peer
    const last = this.#last.get(socket)
    if (last?.header === header) return last.client
    const client = this.#forwarded(header, peer)
    this.#last.set(socket, { header, client })
    return client
  }

  /**
   * The peer of a TCP connection; for TLS, of the connection below. It is known after the connection is closed, too, if it was read
   * before.
   */
  peerOf(socket: Socket): Peer {
    const raw = rawSocketOf(socket)
    const known = this.#peers.get(raw)
    if (known !== undefined) return known
    const peer = this.#peer(parseAddress(raw.remoteAddress ?? '') ?? 'unknown')
    this.#peers.set(raw, peer)
    return peer
  }

  /** Sets the client that a PROXY protocol header names for the whole connection. */
  introduce(socket: Socket, address: string): Client {
    const peer = this.#peer(address)
    this.#peers.set(socket, peer)
    return peer
  }

  /**
   * For a PROXY protocol header without a client address: everything on this connection, X-Forwarded-For included, is the client's own
   * text.
   */
  distrust(socket: Socket): void {
    this.#peers.set(socket, { ...this.peerOf(socket), isTrusted: false })
  }

  #peer(address: string): Peer {
    return { address, network: networkOf(address), isTrusted: this.#isTrusted(address) }
  }

  /**
   * Reads the entries from the right, while the proxies are trusted. Attack: an entry that is no address. The client wrote it, so it must
   * not become an address: clients could make up any number of addresses, or share one with strangers. The request counts for the nearest
   * trusted proxy.
   */
  #forwarded(header: string, peer: Peer): Client {
    let nearest = peer
    let end = header.length
    for (let hop = 0; hop < maxHops && end > 0 && nearest.isTrusted; hop++) {
      const comma = header.lastIndexOf(',', end - 1)
      const entry = header.slice(comma + 1, end).trim()
      end = comma
      if (entry === '') continue
      const address = parseAddress(entry)
      if (address === undefined) break
      nearest = this.#peer(address)
    }
    return nearest
  }
}

const matcherOf = (networks: readonly string[]): ((address: string) => boolean) => {
  const ranges = networks.map(rangeOf)
  return (text) => {
    if (ranges.length === 0 || text === 'unknown') return false
    const address = ipaddr.parse(text)
    return ranges.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))
  }
}

/** An IPv4 network in IPv6 notation is the IPv4 network, as with addresses. */
const rangeOf = (text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] => {
  const [address = '', prefix] = text.split('/')
  const network = ipaddr.parse(address)
  const bits = prefix === undefined ? network.toByteArray().length * 8 : Number(prefix)
  return network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress() && bits >= 96
    ? [network.toIPv4Address(), bits - 96]
    : [network, bits]
}
