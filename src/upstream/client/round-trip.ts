/**
 * One request to one origin, without redirects. GETs of blobs go through http1/, at a third of undici's CPU time. Everything else, and
 * every response that http1/ does not support, goes through undici.
 */
import { errors } from 'undici'
import { unlessAborted } from '../../concurrency/abortable.ts'
import { createBoundedCache, type BoundedCache } from '../../concurrency/bounded-cache.ts'
import type { Agents } from './agents.ts'
import { undiciBody } from './body.ts'
import { toRegistryError } from '../errors.ts'
import { UnsupportedResponse } from '../http1/response-head.ts'
import type { Http1 } from '../http1/http1.ts'
import type { UpstreamKind } from '../request.ts'
import type { Body } from '../../oci/image-source.ts'

export interface RoundTripRequest {
  readonly method: 'GET' | 'HEAD'
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly kind: UpstreamKind | 'robot'
  /** The body of an error is not wanted. So an error that http1/ cannot read is not requested again: storages send them in chunks. */
  readonly isErrorBodyUnused?: boolean
}

/** A response of one origin. */
export interface UpstreamReply {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Body
}

/** @throws {RegistryError} UNAVAILABLE */
export type RoundTrip = (url: URL, request: RoundTripRequest) => Promise<UpstreamReply>

export interface RoundTripOptions {
  readonly agents: Pick<Agents, 'of'>
  readonly http1: Pick<Http1, 'send'>
  /** For servers that send `100 Continue` unasked. */
  readonly interim: { readonly send: RoundTrip }
  /** How the program names itself; undici sends none, and neither does http1/. */
  readonly userAgent?: string | undefined
  readonly observe: (request: { kind: UpstreamKind | 'robot'; status: number | 'failed' }) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Milliseconds. A server that sends one blob in chunks sends every blob so: without this, each would be requested twice. */
const unsupportedForMs = 60_000
const maxOrigins = 1000

export const createRoundTrip = (options: RoundTripOptions): RoundTrip => {
  const clients = new Clients(options)
  const named = options.userAgent === undefined ? {} : { 'user-agent': options.userAgent }
  return async (url, request) => {
    const { kind } = request
    try {
      const reply = await clients.send(url, { ...request, headers: { ...request.headers, ...named } })
      options.observe({ kind, status: reply.statusCode })
      return reply
    } catch (error) {
      options.observe({ kind, status: 'failed' })
      throw toRegistryError(error)
    }
  }
}

/** Three HTTP clients, and which of them each origin needs. */
class Clients {
  readonly #options: RoundTripOptions
  /** Origins whose responses http1/ does not support. */
  readonly #unsupported: BoundedCache<string, true>
  /** Origins that undici does not support: they send `100 Continue`. */
  readonly #sendsContinue: BoundedCache<string, true>

  constructor(options: RoundTripOptions) {
    const { now } = options
    const bounds = { ttlMs: unsupportedForMs, ...(now === undefined ? {} : { now }) }
    this.#options = options
    this.#unsupported = createBoundedCache(maxOrigins, bounds)
    this.#sendsContinue = createBoundedCache(maxOrigins, bounds)
  }

  async send(url: URL, request: RoundTripRequest): Promise<UpstreamReply> {
    const isForHttp1 = request.method === 'GET' && request.kind === 'blob'
    if (!isForHttp1 || this.#unsupported.has(url.origin)) return await this.#byLibrary(url, request)
    try {
      return await this.#options.http1.send(url, request)
    } catch (error) {
      if (!(error instanceof UnsupportedResponse)) throw error
      const { statusCode = 0 } = error
      if (request.isErrorBodyUnused === true && statusCode >= 400)
        return { statusCode, headers: {}, body: noBody }
      const reply = await this.#byLibrary(url, request)
      // Attack: many storages send errors in chunks (for a range beyond the end, for one), and blobs with a length. A client that requests
      // such a range now and then would make all blobs go through undici.
      if (reply.statusCode < 400) this.#unsupported.set(url.origin, true)
      return reply
    }
  }

  async #byLibrary(url: URL, request: RoundTripRequest): Promise<UpstreamReply> {
    try {
      if (!this.#sendsContinue.has(url.origin)) return await this.#byUndici(url, request)
    } catch (error) {
      if (!isContinue(error)) throw error
      this.#sendsContinue.set(url.origin, true)
    }
    return await this.#options.interim.send(url, request)
  }

  async #byUndici(url: URL, { method, headers, signal, kind }: RoundTripRequest): Promise<UpstreamReply> {
    const { origin, pathname, search } = url
    const agent = this.#options.agents.of(url, kind === 'blob')
    const response = agent.request({ origin, path: pathname + search, method, headers, signal })
    // undici looks at the signal only once it has found a connection.
    const { statusCode, headers: fields, body } = await unlessAborted(signal, response, toRegistryError)
    return { statusCode, headers: fields, body: undiciBody(body, signal) }
  }
}

const noBody: Body = { pipeTo: async () => undefined, discard: async () => undefined }

/** How undici reports a response with the status 100. */
const isContinue = (error: unknown): boolean =>
  error instanceof errors.SocketError && error.message === 'bad response'
