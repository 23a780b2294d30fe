/**
 * The connections to the mirror, shared out by requester. Only GETs of its API and the POST of a sync are sent there. None of them has a
 * header field of a client.
 */
import replyFrom from '@fastify/reply-from'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Readable } from 'node:stream'
import { Agent } from 'undici'
import { Bulkhead } from '../../concurrency/bulkhead.ts'
import { unavailable, type RegistryError } from '../../oci/errors.ts'
import { requesterOf } from '../../registry/requester.ts'
import { abortedWith } from '../../registry/abort.ts'
import type { MirrorMethod, MirrorOutcome } from '../../telemetry/mirror-metrics.ts'
import { failureOfMirror, readBody, type RawAnswer } from './mirror-answer.ts'

export interface MirrorOriginOptions {
  readonly url: URL
  /** Milliseconds for an answer; a sync compares the image before it answers. */
  readonly timeoutMs?: number
  readonly syncTimeoutMs?: number
  /** Milliseconds for a request of an explanation or of the page at `/`. */
  readonly lookUpMs?: number
  readonly userAgent: string
  /** Called once for each request of somebody, sent or not. */
  readonly observe: (method: MirrorMethod, outcome: MirrorOutcome) => void
  /** Gives each request that is sent a span. */
  readonly traced?: (exchange: MirrorExchange) => MirrorExchange
}

/** One request, with its span. */
export type MirrorExchange = (method: MirrorMethod, send: () => Promise<RawAnswer>) => Promise<RawAnswer>

/** One request to the API of the mirror. */
export interface MirrorRequest {
  readonly method: MirrorMethod
  readonly path: string
  readonly query?: string
}

const maxConnections = 16
const maxHeadBytes = 16 * 1024
const connectMs = 2000

export class MirrorOrigin {
  readonly #url: URL
  readonly #agent: Agent
  readonly #requests = new Bulkhead(maxConnections)
  readonly #lookUpMs: number
  readonly #timeoutsMs: Readonly<Record<MirrorMethod, number>>
  readonly #headers: Readonly<Record<string, string>>
  readonly #observe: MirrorOriginOptions['observe']
  readonly #exchange: MirrorExchange

  constructor(options: MirrorOriginOptions) {
    const { url, timeoutMs = 5000, syncTimeoutMs = 30_000, lookUpMs = 1500 } = options
    const { userAgent, observe, traced = (exchange) => exchange } = options
    this.#url = url
    this.#lookUpMs = lookUpMs
    this.#headers = { accept: 'application/json', 'user-agent': userAgent }
    this.#observe = observe
    this.#exchange = traced(exchange)
    this.#timeoutsMs = { GET: timeoutMs, POST: syncTimeoutMs }
    this.#agent = new Agent({
      connections: maxConnections,
      maxHeaderSize: maxHeadBytes,
      connect: { timeout: Math.min(connectMs, timeoutMs) },
    })
  }

  /** The plugin whose replies are passed to `passOn`. */
  async register(app: FastifyInstance): Promise<void> {
    await app.register(replyFrom, { base: this.#url.origin, undici: this.#agent, disableCache: true })
  }

  /**
   * For an authenticated request. The response of the mirror is read, and not sent.
   * @throws {RegistryError} 502, 503 or 504
   */
  async passOn(request: FastifyRequest, reply: FastifyReply, wanted: MirrorRequest): Promise<RawAnswer> {
    return await this.#shared(
      requesterOf(request),
      wanted.method,
      async () => await this.#send(request, reply, wanted),
    )
  }

  /**
   * A GET of the proxy itself, for somebody.
   * @param holder who takes a share of the requests. @throws {RegistryError} 502, 503 or 504
   */
  async get(holder: string, path: string, query = ''): Promise<RawAnswer> {
    return await this.#shared(holder, 'GET', async () => {
      const signal = AbortSignal.timeout(this.#lookUpMs)
      const { statusCode, body } = await this.#agent.request({
        origin: this.#url.origin,
        path: query === '' ? path : `${path}?${query}`,
        method: 'GET',
        headers: this.#headers,
        signal,
      })
      return { status: statusCode, body: await readBody(body, signal) }
    })
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #shared(holder: string, method: MirrorMethod, send: () => Promise<RawAnswer>): Promise<RawAnswer> {
    if (!this.#requests.take(holder)) {
      this.#observe(method, 'shed')
      throw unavailable('too many requests to the mirror at once; try again in a moment', undefined, 1)
    }
    try {
      const answer = await this.#exchange(method, send).finally(() => this.#requests.giveBack(holder))
      this.#observe(method, answer.status < 500 ? 'answered' : 'failed')
      return answer
    } catch (error) {
      this.#observe(method, outcomeOf(error as RegistryError))
      throw error
    }
  }

  async #send(
    { id }: FastifyRequest,
    reply: FastifyReply,
    { method, path, query = '' }: MirrorRequest,
  ): Promise<RawAnswer> {
    const timeout = this.#timeoutsMs[method]
    const signal = AbortSignal.any([AbortSignal.timeout(timeout), abortedWith(reply)])
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; stream: Readable }>()
    reply.from(path, {
      method,
      queryString: () => query,
      // No body is passed on, because the body of a form has a token.
      body: null,
      timeout,
      retryDelay: () => null,
      rewriteRequestHeaders: () => ({ ...this.#headers, 'x-request-id': id }),
      rewriteHeaders: () => ({}),
      onResponse: (_request, _reply, response) =>
        resolve({ status: response.statusCode, stream: response.stream }),
      onError: (_reply, { error }) => reject(error),
    })
    const { status, stream } = await promise
    return { status, body: await readBody(stream, signal) }
  }
}

const exchange: MirrorExchange = async (_method, send) =>
  await send().catch((error: unknown) => {
    throw failureOfMirror(error)
  })

const outcomeOf = ({ status, cause }: RegistryError): MirrorOutcome =>
  (cause as Error | undefined)?.name === 'AbortError' ? 'cancelled' : (outcomes[status] ?? 'unreachable')

/** By the status that the client gets. */
const outcomes: Readonly<Record<number, MirrorOutcome>> = { 502: 'failed', 504: 'late' }
