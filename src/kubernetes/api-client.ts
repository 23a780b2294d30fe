/**
 * POST requests to the API server over one connection pool: with a deadline, at most one retry, and a bound on the response.
 */
import { HttpMethod, RequestContext, type Cluster } from '@kubernetes/client-node'
import { setTimeout as sleep } from 'node:timers/promises'
import { unlessAborted } from '../concurrency/abortable.ts'
import type { Reply } from './api-failures.ts'
import type { Credentials } from './kubeconfig.ts'
import { createConnectionPool, type ConnectionPool } from './connection-pool.ts'
import { noTracing, type Tracing } from '../tracing/tracing.ts'
import { NotAReview } from './review-answer.ts'

export interface ApiClient {
  /** @param body JSON. @throws {Error} if there is no response, or one that is too large */
  readonly post: (path: string, body: string) => Promise<Reply>
  readonly close: () => Promise<void>
}

export interface ApiClientOptions {
  readonly kubeConfig: Credentials
  /** Milliseconds for one request, its retry included. */
  readonly timeoutMs: number
  readonly tracing?: Tracing | undefined
}

const retryAfterMs = 100
/** The review of a person with a thousand groups has about 50 KiB. */
const maxAnswerBytes = 1024 * 1024

export const createApiClient = ({
  kubeConfig,
  timeoutMs,
  tracing = noTracing,
}: ApiClientOptions): ApiClient => {
  const pool = createConnectionPool()
  const sendOnce = tracing.stage('POST', send, {
    isClient: true,
    requestAttributes: () => ({
      'http.request.method': 'POST',
      'server.address': serverOf(kubeConfig).hostname,
    }),
    answerAttributes: ({ status }) => ({ 'http.response.status_code': status }),
  })
  const post = async (path: string, body: string): Promise<Reply> => {
    const signal = AbortSignal.timeout(timeoutMs)
    const attempt = async () =>
      await sendOnce(pool, kubeConfig, { path, body, signal, outgoing: tracing.outgoing })
    let reply: Reply
    try {
      reply = await attempt()
    } catch (error) {
      if (error instanceof NotAReview || signal.aborted) throw error
      // The server may have closed a keep-alive connection: the request on it fails once.
      await sleep(retryAfterMs, undefined, { signal })
      return await attempt()
    }
    if (reply.status === 401 && kubeConfig.canRenew === true) {
      // The renewed credential may be a client certificate, which needs a new pool.
      pool.renew()
      return await attempt()
    }
    // A 429 is not retried, because a retry adds to the load.
    if (reply.status < 500) return reply
    await sleep(retryAfterMs, undefined, { signal })
    return await attempt()
  }
  return { post, close: async () => await pool.close() }
}

interface PostRequest {
  readonly path: string
  readonly body: string
  readonly signal: AbortSignal
  readonly outgoing: Tracing['outgoing']
}

const serverOf = (kubeConfig: Credentials): URL => new URL((kubeConfig.getCurrentCluster() as Cluster).server)

const send = async (
  pool: ConnectionPool,
  kubeConfig: Credentials,
  { path, body, signal, outgoing }: PostRequest,
): Promise<Reply> => {
  const server = serverOf(kubeConfig)
  const url = new URL(`${server.pathname.replace(/\/$/, '')}${path}`, server)
  const context = new RequestContext(url.href, HttpMethod.POST)
  // An exec plugin may run longer than the deadline of one request.
  await unlessAborted(signal, kubeConfig.applySecurityAuthentication(context))
  const {
    statusCode,
    headers,
    body: answer,
  } = await pool.adopt(context.getDispatcher()).request({
    origin: url.origin,
    path: url.pathname,
    method: 'POST',
    headers: {
      ...oneLined(context.getHeaders()),
      ...outgoing(),
      accept: 'application/json',
      'content-type': 'application/json',
    },
    body,
    signal,
  })
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Leaving the loop closes the connection.
    if (bytes > maxAnswerBytes)
      throw new NotAReview(`it answered ${statusCode} with a response that is too large`)
    chunks.push(chunk)
  }
  const retryAfter = String(headers['retry-after'] ?? '')
  return { status: statusCode, retryAfter, text: Buffer.concat(chunks).toString() }
}

/** A token file ends with a line break, which a header must not contain. */
const oneLined = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.trim()]))
