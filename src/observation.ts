/**
 * One line and its numbers for every request: who asked for what, what was decided, what went back. Never a credential, never
 * a client's own path: only what was parsed.
 */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { RegistryError } from './errors.ts'
import type { Logger } from './logging.ts'
import type { Metrics } from './metrics.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The error that was answered, if one was. */
    failure: RegistryError | null
    /** Bytes that the connection had sent before this request. */
    sentBefore: number
  }
}

export interface ObservationOptions {
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Asked every few seconds by machines: they would drown the lines that people look for. */
const quietRoutes = new Set(['/healthz', '/readyz'])

const plugin: FastifyPluginAsync<ObservationOptions> = async (app, { logger, metrics }) => {
  app.decorateRequest('failure', null)
  app.decorateRequest('sentBefore', 0)
  app.addHook('onRequest', async (request, reply) => {
    request.receivedAt = performance.now()
    request.sentBefore = request.raw.socket.bytesWritten
    void reply.header('x-request-id', request.id)
    // oc takes any answer with this field for a registry's.
    void reply.header('docker-distribution-api-version', 'registry/2.0')
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    const seconds = (performance.now() - request.receivedAt) / 1000
    const bytes = request.raw.socket.bytesWritten - request.sentBefore
    metrics.requests.inc({ route, method: request.method, status: reply.statusCode })
    metrics.requestSeconds.observe({ route }, seconds)
    metrics.sentBytes.inc({ route }, bytes)
    if (quietRoutes.has(route)) logger.debug(line(request, reply, route, bytes, seconds), 'request')
    else logger[levelOf(request, reply)](line(request, reply, route, bytes, seconds), 'request')
  })
}

export const observation = fp(plugin, { name: 'quay-proxy/observation', fastify: '5.x' })

const levelOf = (request: FastifyRequest, reply: FastifyReply): 'info' | 'warn' =>
  reply.statusCode >= 500 || request.failure?.cause !== undefined ? 'warn' : 'info'

const line = (
  request: FastifyRequest,
  reply: FastifyReply,
  route: string,
  bytes: number,
  seconds: number,
) => {
  const { identity, repository, reference, decision, failure } = request
  return {
    requestId: request.id,
    client: request.ip,
    method: request.method,
    route,
    identity: identity?.user.username,
    repository: repository?.path,
    image: reference === null ? undefined : reference.kind === 'tag' ? reference.qciTag : reference.digest,
    namespace: decision?.namespace,
    decision: decision === null ? undefined : decision.allowed ? 'allowed' : 'denied',
    rule: decision?.rule,
    source: decision?.source,
    status: reply.statusCode,
    error: failure?.code,
    err: failure?.cause === undefined ? undefined : failure,
    bytes,
    seconds: Number(seconds.toFixed(4)),
    aborted: reply.raw.writableFinished ? undefined : true,
  }
}
