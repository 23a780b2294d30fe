/**
 * One origin: how a socket to it is opened, and what all connections to it share.
 */
import { connect as connectPlain, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import type { lookup } from 'node:dns'
import type { BufferPool } from './buffer-pool.ts'

/** Milliseconds. */
export interface StreamTimeouts {
  readonly connect: number
  /** From the request to the end of the response's head. */
  readonly head: number
  /** Between two reads of a body. It does not run while a slow client pauses the stream. */
  readonly body: number
  /** How long an unused connection is kept. */
  readonly idle: number
}

export interface Origin {
  readonly url: URL
  readonly lookup: typeof lookup
  readonly secureContext: SecureContext
  readonly bufferPool: BufferPool
  readonly timeouts: StreamTimeouts
  /** Milliseconds, from any start. */
  readonly now: () => number
  /** The newest TLS session. It makes the next handshake cheaper for both sides. */
  session?: Buffer
}

export const isTls = ({ url }: Origin): boolean => url.protocol === 'https:'

/** Certificates are verified. ALPN offers HTTP/1.1 only. */
export const openSocket = (origin: Origin, onread: OnReadOpts): Socket => {
  const { url, lookup, secureContext, session } = origin
  const host = url.hostname.replaceAll(/^\[|\]$/g, '')
  const address = { host, lookup, onread, noDelay: true }
  if (!isTls(origin)) return connectPlain({ ...address, port: Number(url.port || 80) })
  const socket = connectTls({
    ...address,
    port: Number(url.port || 443),
    secureContext,
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
    // RFC 6066: an IP address is not a server name.
    servername: isIP(host) === 0 ? host : '',
    ...(session === undefined ? {} : { session }),
  })
  return socket.on('session', (newest) => {
    origin.session = newest
  })
}
