/**
 * Which address a request comes from. The one place that reads the peer of a connection and `X-Forwarded-For`: everything else asks
 * for `request.client`, which is an IP address or `unknown`, whatever a client writes.
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

/** Proxies in a row that are walked through, empty entries included: nobody has more than a handful. */
const maxHops = 32

export class ClientAddresses {
  readonly #isTrusted: (address: string) => boolean
  readonly #peers = new WeakMap<Socket, Peer>()
  /** What the last request of a connection said, and who that is: a router says the same for a while. */
  readonly #last = new WeakMap<Socket, { readonly header: string; readonly client: Client }>()

  /** @param trustedProxies addresses and networks whose word is believed */
  constructor(trustedProxies: readonly string[]) {
    this.#isTrusted = matcherOf(trustedProxies)
  }

  /** By the nearest address that is not a trusted proxy's, seen from here. */
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
   * Who is at the other end of a connection, also once it is gone, if it was asked for before. Trusted ones speak for others.
   * Under TLS, of the connection below.
   */
  peerOf(socket: Socket): Peer {
    const raw = rawSocketOf(socket)
    const known = this.#peers.get(raw)
    if (known !== undefined) return known
    const peer = this.#peer(parseAddress(raw.remoteAddress ?? '') ?? 'unknown')
    this.#peers.set(raw, peer)
    return peer
  }

  /** The proxy at the other end has said, for the whole of the connection, whom it speaks for. */
  introduce(socket: Socket, address: string): Client {
    const peer = this.#peer(address)
    this.#peers.set(socket, peer)
    return peer
  }

  /** The proxy at the other end speaks for somebody whom it does not know: what comes is that client's text. */
  distrust(socket: Socket): void {
    this.#peers.set(socket, { ...this.peerOf(socket), isTrusted: false })
  }

  #peer(address: string): Peer {
    return { address, network: networkOf(address), isTrusted: this.#isTrusted(address) }
  }

  /**
   * From the right, as far as proxies are believed. Attack: what is no address is the client's own text. It must not become an
   * address by itself, of which anybody has any number, nor one that all who do so share with strangers: it counts as the address
   * of the nearest proxy that is believed.
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

/** A network of IPv4 that is written as IPv6 is the one of IPv4, as with addresses. */
const rangeOf = (text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] => {
  const [address = '', prefix] = text.split('/')
  const network = ipaddr.parse(address)
  const bits = prefix === undefined ? network.toByteArray().length * 8 : Number(prefix)
  return network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress() && bits >= 96
    ? [network.toIPv4Address(), bits - 96]
    : [network, bits]
}
