/**
 * The span of each request: from its head to the end of its answer. A span names the image and the kind of requester, and never a
 * credential or a path as the client wrote it.
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { imageOf } from '../registry/image-fields.ts'
import type { Attributes, Tracing } from '../tracing/tracing.ts'
import { probePaths } from './health.ts'
import { userAgentOf } from './user-agent.ts'

export interface TraceRequestsOptions {
  readonly tracing: Tracing
  /** The host name that clients use. */
  readonly serverAddress: string
}

/** Adds the hook that starts the span: before every hook that may answer. */
export const startSpans = (app: FastifyInstance, options: TraceRequestsOptions | undefined): void => {
  if (options !== undefined) app.addHook('onRequest', startSpan(options))
}

/** Adds the hooks that run later hooks and the handler within the span: after every hook that defers the request. */
export const enterSpans = (app: FastifyInstance, options: TraceRequestsOptions | undefined): void => {
  if (options === undefined) return
  const enter = (request: FastifyRequest, done: () => void) =>
    request.span === null ? done() : request.span.run(done)
  app.addHook('onRequest', (request, _reply, done) => enter(request, done))
  // The body of a form arrives in events of the connection, outside of the span.
  app.addHook('preHandler', (request, _reply, done) => enter(request, done))
}

const startSpan =
  ({ tracing, serverAddress }: TraceRequestsOptions): onRequestHookHandler =>
  (request, reply, done) => {
    const route = request.routeOptions.url
    if (probePaths.has(route)) return done()
    const { method } = request
    const span = tracing.startRequest({
      name: route === undefined ? method : `${method} ${route}`,
      traceparent: request.headers['traceparent'] as string | undefined,
      network: request.client.network,
    })
    if (span !== undefined) {
      request.span = span
      reply.raw.once('close', () => {
        const attributes = { ...attributesOf(request, reply), 'server.address': serverAddress }
        span.end(attributes, reply.statusCode >= 500)
      })
    }
    return done()
  }

const attributesOf = (request: FastifyRequest, reply: FastifyReply): Attributes => {
  const { identity, repository, reference, decision, failure } = request
  return {
    'http.request.method': request.method,
    'http.route': request.routeOptions.url,
    'http.response.status_code': reply.statusCode,
    'user_agent.original': userAgentOf(request),
    'error.type': failure?.code,
    'container.image.name': repository?.path,
    'quay_proxy.image': reference === null ? undefined : imageOf(reference, reply).image,
    'quay_proxy.requester.kind': identity?.kind,
    'quay_proxy.decision': decision === null ? undefined : decision.allowed ? 'allowed' : 'denied',
    'quay_proxy.rule': decision?.rule,
    'quay_proxy.request_id': request.id,
  }
}
