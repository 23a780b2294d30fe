/**
 * Where connections lead: how a socket to one origin is opened, and what all of its connections share.
 */
import { connect as connectPlain, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import type { lookup } from 'node:dns'
import type { BufferPool } from './buffer-pool.ts'

/** Milliseconds. */
export interface StreamTimeouts {
  readonly connect: number
  /** From the request to the end of the answer's head. */
  readonly head: number
  /** Between two reads of a body; it does not run while a slow client holds the stream back. */
  readonly body: number
  /** How long a connection is kept that nobody uses. */
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
  /** The newest TLS session: the next handshake is cheaper for both sides. */
  session?: Buffer
}

export const isTls = ({ url }: Origin): boolean => url.protocol === 'https:'

/** TLS is verified; whoever speaks anything but HTTP/1.1 is not chosen. */
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
    // RFC 6066: an address is no server name.
    servername: isIP(host) === 0 ? host : '',
    ...(session === undefined ? {} : { session }),
  })
  return socket.on('session', (newest) => {
    origin.session = newest
  })
}
