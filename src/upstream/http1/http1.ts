/**
 * GETs to upstream and to where it redirects, for bodies that are passed on: a third of the library's price per byte. Only the plain
 * case of HTTP/1.1; whatever else comes is an UnsupportedResponse, and the library is to be asked instead.
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
  /** PEM, beside the well-known authorities. */
  readonly ca?: string
  /** To one origin at a time. */
  readonly maxConnections: number
  /** Requests that wait for a connection to one origin. */
  readonly maxWaiting?: number
  readonly timeouts: Omit<StreamTimeouts, 'idle'> & Partial<StreamTimeouts>
  /** Resolves an origin's name; where the addresses are guarded. */
  readonly lookupOf: (url: URL) => typeof lookup
  readonly now?: () => number
}

export interface Http1Request {
  readonly headers: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

export interface Http1 {
  /**
   * @throws {UnsupportedResponse} nothing of the answer was used: ask again through the library
   * @throws {RegistryError} UNAVAILABLE
   */
  readonly send: (url: URL, request: Http1Request) => Promise<Http1Response>
  readonly close: () => Promise<void>
}

/** Milliseconds: the library's. Quay ends some of its own sooner, which is noticed. */
const defaultIdleMs = 4000
/** As many as a few clients with six layers each at a time; they wait seconds, not minutes. */
const defaultMaxWaiting = 256

/** Upstream, its realm and its storage are a handful. Attack: redirects to ever new origins would fill the memory. */
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
