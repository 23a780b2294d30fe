/**
 * The connections to one registry, and to the hosts that it redirects to. Sends single requests, without a rate limit and without retries.
 */
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { mirrorUserAgent } from '../../config/version.ts'
import { createAgents, type Agents } from '../../upstream/client/agents.ts'
import { checkRedirect } from '../../upstream/client/redirect.ts'
import { single } from '../../upstream/client/response-fields.ts'
import { discard } from './body.ts'
import { PermitLost, RegistryFailure } from './failure.ts'
import { checkPermit, type WritePermit } from './write-permit.ts'

export interface ConnectionRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  /** A URL on the registry: built from validated parts, or the Location of an upload. */
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly signal?: AbortSignal | undefined
  /** Has to be held when the request leaves. */
  readonly permit?: WritePermit | undefined
}

export interface RegistryReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
}

export interface ConnectionOptions {
  readonly origin: URL
  readonly maxConnections: number
  /** PEM, in addition to the well-known authorities. */
  readonly ca?: string | undefined
}

/** Milliseconds. A registry may take long for a large manifest list. */
const timeouts = { connect: 10_000, head: 60_000, body: 60_000 }
const maxRedirects = 3
const redirectStatuses = new Set([301, 302, 303, 307, 308])

export class RegistryConnection {
  readonly origin: URL
  readonly #agents: Agents

  constructor({ origin, maxConnections, ca }: ConnectionOptions) {
    this.origin = origin
    this.#agents = createAgents({ origin, maxConnections, timeouts, ...(ca === undefined ? {} : { ca }) })
  }

  async close(): Promise<void> {
    await this.#agents.close()
  }

  /** A redirect of a GET or a HEAD is followed, without the token. @throws {RegistryFailure} */
  async send(request: ConnectionRequest, authorization: string | undefined): Promise<RegistryReply> {
    const isReading = request.method === 'GET' || request.method === 'HEAD'
    let { url } = request
    for (let redirects = 0; redirects <= maxRedirects; redirects++) {
      // Attack: a storage that redirects back would get the token for a path of its choosing.
      const reply = await this.sendOnce(url, request, redirects === 0 ? authorization : undefined)
      if (!isReading || !redirectStatuses.has(reply.status)) return await this.#ofStorage(reply, redirects)
      await discard(reply.body)
      url = this.#redirected(single(reply.headers['location']), url)
    }
    throw new RegistryFailure('broken', `${this.origin.host} redirects too many times`)
  }

  /** Attack: a challenge of a storage would name the page that gets the next login. A signed URL may also have ended. */
  async #ofStorage(reply: RegistryReply, redirects: number): Promise<RegistryReply> {
    if (redirects === 0 || (reply.status !== 401 && reply.status !== 403)) return reply
    await discard(reply.body)
    throw new RegistryFailure('transient', `the storage of ${this.origin.host} answered ${reply.status}`)
  }

  #redirected(location: string | undefined, base: URL): URL {
    try {
      return checkRedirect(location, base, {
        allowHttp: this.origin.protocol === 'http:',
        allowPrivate: this.#agents.isUpstreamPrivate(),
      })
    } catch (error) {
      throw new RegistryFailure('broken', `${this.origin.host} redirects where nobody follows`, error)
    }
  }

  /** Without redirects. @throws {RegistryFailure} */
  async sendOnce(
    url: URL,
    { method, headers, body, signal, permit }: ConnectionRequest,
    authorization: string | undefined,
  ): Promise<RegistryReply> {
    const options: Dispatcher.RequestOptions = {
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: {
        'user-agent': mirrorUserAgent,
        ...headers,
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    }
    try {
      // Blobs take long, so they do not use the connections of manifests.
      const agent = this.#agents.of(url, method === 'GET' && url.pathname.includes('/blobs/'))
      const sender = permit === undefined ? agent : agent.compose(checkedOnceConnected(permit))
      const { statusCode, headers: fields, body: stream } = await sender.request(options)
      return { status: statusCode, headers: fields, body: stream }
    } catch (error) {
      if (error instanceof PermitLost) throw error
      throw new RegistryFailure(
        'transient',
        `${url.host} cannot be reached: ${(error as Error).message}`,
        error,
      )
    }
  }
}

/**
 * Checks the permit when a connection is there, immediately before the first byte of the request leaves: a request may wait longer for its
 * connection than the permit lasts.
 */
const checkedOnceConnected =
  (permit: WritePermit): Dispatcher.DispatcherComposeInterceptor =>
  (dispatch) =>
  (options, handler) =>
    dispatch(options, {
      onRequestStart: (controller, context) => {
        checkPermit(permit)
        handler.onRequestStart?.(controller, context)
      },
      onResponseStart: (...response) => handler.onResponseStart?.(...response),
      onResponseData: (...data) => handler.onResponseData?.(...data),
      onResponseEnd: (...end) => handler.onResponseEnd?.(...end),
      onResponseError: (...error) => handler.onResponseError?.(...error),
    })
