/**
 * One log line and the metrics of each request: identity, image, decision and response. Never a credential, and never a path as the
 * client wrote it: only parsed values.
 */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Logger } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createUnexpectedErrors, type UnexpectedErrors } from '../telemetry/unexpected-errors.ts'
import { imageOf } from '../registry/image-fields.ts'
import { probePaths } from './health.ts'
import { userAgentOf } from './user-agent.ts'

export interface AccessLogOptions {
  readonly logger: Logger
  readonly metrics: Metrics
}

const plugin: FastifyPluginAsync<AccessLogOptions> = async (app, { logger, metrics }) => {
  const options = { logger, metrics, unexpected: createUnexpectedErrors(logger) }
  // No async function, as with all hooks that every request passes: each promise costs CPU.
  app.addHook('onRequest', (request, reply, done) => {
    observe(request, reply, options)
    done()
  })
}

interface Observing extends AccessLogOptions {
  readonly unexpected: UnexpectedErrors
}

/** Runs once for each request, before all other hooks. */
const observe = (request: FastifyRequest, reply: FastifyReply, options: Observing): void => {
  request.receivedAt = performance.now()
  void reply.header('x-request-id', request.id)
  // oc accepts a response with this field as a registry's.
  void reply.header('docker-distribution-api-version', 'registry/2.0')
  const { client, raw } = request
  const sentBefore = raw.socket.bytesWritten
  // Not the framework's onResponse: it does not run for a client that disconnects before the end.
  reply.raw.on('close', () => {
    const sent = { client: client.address, bytes: raw.socket.bytesWritten - sentBefore }
    // An uncaught error in a listener would end the process, and every pull with it.
    try {
      record(request, reply, options, sent)
    } catch (error) {
      options.unexpected.report('record', error)
    }
  })
}

interface Sent {
  readonly client: string
  readonly bytes: number
}

const record = (
  request: FastifyRequest,
  reply: FastifyReply,
  { logger, metrics }: AccessLogOptions,
  { client, bytes }: Sent,
): void => {
  const route = request.routeOptions.url ?? 'none'
  const seconds = (performance.now() - request.receivedAt) / 1000
  metrics.requests.inc({ route, method: request.method, status: reply.statusCode })
  metrics.requestSeconds.observe({ route }, seconds)
  metrics.sentBytes.inc({ route }, bytes)
  // Probes come every few seconds: at level info they would hide the other lines.
  const level = probePaths.has(route) ? 'debug' : levelOf(request, reply)
  logger[level](line(request, reply, { client, route, bytes, seconds }), 'request')
}

export const accessLog = fp(plugin, { name: 'quay-proxy/access-log', fastify: '5.x' })

const levelOf = (request: FastifyRequest, reply: FastifyReply): 'info' | 'warn' =>
  reply.statusCode >= 500 || request.failure?.cause !== undefined ? 'warn' : 'info'

interface Measured {
  readonly client: string
  readonly route: string
  readonly bytes: number
  readonly seconds: number
}

const decisionText = (decision: FastifyRequest['decision']): 'allowed' | 'denied' | undefined =>
  decision === null ? undefined : decision.allowed ? 'allowed' : 'denied'

const noImage = { image: undefined, digest: undefined }

const line = (request: FastifyRequest, reply: FastifyReply, measured: Measured) => {
  const { identity, repository, reference, decision, failure } = request
  const { image, digest } = reference === null ? noImage : imageOf(reference, reply)
  return {
    requestId: request.id,
    method: request.method,
    identity: identity?.user.username,
    kind: identity?.kind,
    repository: repository?.path,
    image,
    digest,
    namespace: decision?.namespace,
    grantedBy: decision?.grantedBy,
    decision: decisionText(decision),
    rule: decision?.rule,
    source: decision?.source,
    status: reply.statusCode,
    error: failure?.code,
    refused: failure?.forLog,
    err: failure?.cause === undefined ? undefined : failure,
    aborted: reply.raw.writableFinished ? undefined : true,
    client: measured.client,
    userAgent: userAgentOf(request),
    traceId: request.span?.traceId,
    route: measured.route,
    bytes: measured.bytes,
    // Rounded to a tenth of a millisecond.
    seconds: Math.round(measured.seconds * 1e4) / 1e4,
  }
}
