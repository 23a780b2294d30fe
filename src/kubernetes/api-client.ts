/**
 * One question to the API server, over one pool of connections: in bounded time, with one more try where that may help, and never more
 * of an answer than a review can be.
 */
import { HttpMethod, RequestContext, type Cluster } from '@kubernetes/client-node'
import { setTimeout as sleep } from 'node:timers/promises'
import { unlessAborted } from '../concurrency/abortable.ts'
import type { Reply } from './api-failures.ts'
import type { Credentials } from './kubeconfig.ts'
import { createPool, type Pool } from './pool.ts'
import { NotAReview } from './review-answer.ts'

export interface ApiClient {
  /** @param body JSON. @throws {Error} where nothing, or too much, was answered */
  readonly ask: (path: string, body: string) => Promise<Reply>
  readonly close: () => Promise<void>
}

export interface ApiClientOptions {
  readonly kubeConfig: Credentials
  /** Milliseconds for one question, its retry included. */
  readonly timeoutMs: number
}

const retryAfterMs = 100
/** A review of a person with a thousand groups has some 50 KiB. */
const maxAnswerBytes = 1024 * 1024

export const createApiClient = ({ kubeConfig, timeoutMs }: ApiClientOptions): ApiClient => {
  const pool = createPool()
  const ask = async (path: string, body: string): Promise<Reply> => {
    const signal = AbortSignal.timeout(timeoutMs)
    const attempt = async () => await post(pool, kubeConfig, { path, body, signal })
    let reply: Reply
    try {
      reply = await attempt()
    } catch (error) {
      if (error instanceof NotAReview || signal.aborted) throw error
      // A kept-alive connection that the server closed fails once, on a review as on anything else.
      await sleep(retryAfterMs, undefined, { signal })
      return await attempt()
    }
    if (reply.status === 401 && kubeConfig.canRenew === true) {
      // A renewed credential may be a certificate.
      pool.renew()
      return await attempt()
    }
    // Not a 429: to ask again at once is more of what there is too much of.
    if (reply.status < 500) return reply
    await sleep(retryAfterMs, undefined, { signal })
    return await attempt()
  }
  return { ask, close: async () => await pool.close() }
}

interface Question {
  readonly path: string
  readonly body: string
  readonly signal: AbortSignal
}

const post = async (
  pool: Pool,
  kubeConfig: Credentials,
  { path, body, signal }: Question,
): Promise<Reply> => {
  const server = new URL((kubeConfig.getCurrentCluster() as Cluster).server)
  const url = new URL(`${server.pathname.replace(/\/$/, '')}${path}`, server)
  const context = new RequestContext(url.href, HttpMethod.POST)
  // A plugin that says who we are takes its time, and more of it than one question has.
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
    // Leaving the loop ends the answer, and its connection with it.
    if (bytes > maxAnswerBytes) throw new NotAReview(`it answered ${statusCode} with too much`)
    chunks.push(chunk)
  }
  const retryAfter = String(headers['retry-after'] ?? '')
  return { status: statusCode, retryAfter, text: Buffer.concat(chunks).toString() }
}

/** A token file ends with a line end, which no field may hold. */
const oneLined = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.trim()]))
