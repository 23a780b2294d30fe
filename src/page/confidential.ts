/**
 * Decides whether nobody between a browser and the proxy can read a request. Only then the proxy accepts a token from a form.
 */
import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'

export interface ConfidentialOptions {
  /** Whether the peer is a trusted proxy, so that its X-Forwarded-Proto is believed. */
  readonly isTrustedPeer: (socket: Socket) => boolean
  /** With the PROXY protocol, a connection of this machine may carry another client. */
  readonly proxyProtocol: boolean
}

export type IsConfidential = (request: Pick<FastifyRequest, 'raw' | 'headers' | 'client'>) => boolean

export const createIsConfidential =
  ({ isTrustedPeer, proxyProtocol }: ConfidentialOptions): IsConfidential =>
  ({ raw: { socket }, headers, client }) => {
    if (isTrustedPeer(socket)) {
      const protocol = headers['x-forwarded-proto']
      // TLS between the proxies alone does not protect the way to the first one.
      if (protocol !== undefined) return [protocol].flat().join().split(',').every(isHttps)
    } else if (!isEncrypted(socket))
      return !proxyProtocol && isLoopback(client.address) && !isForwarded(headers)
    return isEncrypted(socket)
  }

const isHttps = (protocol: string): boolean => protocol.trim().toLowerCase() === 'https'

const isEncrypted = (socket: Socket): boolean => 'encrypted' in socket && socket.encrypted === true

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'

/** Attack: a proxy on this machine that nobody has named, with plain HTTP before it. */
const isForwarded = (headers: FastifyRequest['headers']): boolean =>
  ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'via'].some((name) => headers[name] !== undefined)
