/**
 * An HTTP/1.1 client for GETs of blobs, to upstream and to where it redirects: a third of undici's CPU time per byte. It reads only the
 * plain case. Every other response is an UnsupportedResponse, and the caller sends the request again through undici.
 */
import { createSecureContext, rootCertificates } from 'node:tls'
import { toRegistryError } from '../errors.ts'
import type { lookup } from 'node:dns'
import { createConnection, type Http1Response } from './connection.ts'
import { StaleConnection } from './response-head-reader.ts'
import { UnsupportedResponse } from './response-head.ts'
import type { Origin, StreamTimeouts } from './origin.ts'
import { createConnectionPool, type ConnectionPool } from './connection-pool.ts'
import { requestHead } from './request-head.ts'
import { createBufferPool } from './buffer-pool.ts'

export interface Http1Options {
  /** PEM, in addition to the well-known authorities. */
  readonly ca?: string
  /** To one origin at a time. */
  readonly maxConnections: number
  /** Requests that wait for a connection to one origin. */
  readonly maxWaiting?: number
  readonly timeouts: Omit<StreamTimeouts, 'idle'> & Partial<StreamTimeouts>
  /** Resolves the name of an origin, and rejects addresses that must not be used. */
  readonly lookupOf: (url: URL) => typeof lookup
  readonly now?: () => number
}

export interface Http1Request {
  readonly headers: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

export interface Http1 {
  /**
   * @throws {UnsupportedResponse} no part of the response was used: send the request again through undici
   * @throws {RegistryError} UNAVAILABLE
   */
  readonly send: (url: URL, request: Http1Request) => Promise<Http1Response>
  readonly close: () => Promise<void>
}

/** Milliseconds, as undici has it. Quay closes some connections sooner, which a StaleConnection shows. */
const defaultIdleMs = 4000
/** A few dozen clients with six layers each. They wait for seconds, not minutes. */
const defaultMaxWaiting = 256

/** Upstream, its realm and its storage are a handful. Attack: redirects to ever new origins would fill the heap. */
const maxOrigins = 16

export const createHttp1 = (options: Http1Options): Http1 => {
  const { ca, maxConnections, maxWaiting = defaultMaxWaiting, lookupOf } = options
  const { now = () => performance.now() } = options
  const secureContext = createSecureContext(ca === undefined ? {} : { ca: [...rootCertificates, ca] })
  const timeouts = { idle: defaultIdleMs, ...options.timeouts }
  const bufferPool = createBufferPool()
  const pools = new Map<string, ConnectionPool>()

  const poolOf = (url: URL): ConnectionPool => {
    const known = pools.get(url.origin)
    if (known !== undefined) return known
    const origin: Origin = { url, lookup: lookupOf(url), secureContext, bufferPool, timeouts, now }
    for (const [name, unused] of pools) if (pools.size >= maxOrigins && unused.isEmpty()) pools.delete(name)
    const pool = createConnectionPool({
      open: (events) => createConnection(origin, events),
      maxConnections,
      maxWaiting,
    })
    pools.set(url.origin, pool)
    return pool
  }
  const send: Http1['send'] = async (url, { headers, signal }) => {
    try {
      const head = requestHead(url, headers)
      const pool = poolOf(url)
      const first = await pool.lease(signal)
      try {
        return await first.send(head, signal)
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error
        const fresh = await pool.lease(signal, true)
        return await fresh.send(head, signal)
      }
    } catch (error) {
      throw error instanceof UnsupportedResponse ? error : toRegistryError(error)
    }
  }
  return {
    send,
    close: async () => {
      for (const pool of pools.values()) pool.close()
    },
  }
}
