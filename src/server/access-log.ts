/**
 * One line and its numbers for every request: who asked for what, what was decided, what went back. Never a credential, never
 * a client's own path: only what was parsed.
 */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ShadowDecision } from '../audit/shadow.ts'
import { auditMessage, type AuditLine } from '../audit/audit-line.ts'
import { differenceOf } from '../audit/difference.ts'
import type { RegistryError } from '../oci/errors.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Reference } from '../oci/reference.ts'
import { createMistakes, type Mistakes } from './mistakes.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The error that was answered, if one was. */
    failure: RegistryError | null
  }
}

export interface AccessLogOptions {
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Asked every few seconds by machines: they would drown the lines that people look for. */
const quietRoutes = new Set(['/healthz', '/readyz'])

const plugin: FastifyPluginAsync<AccessLogOptions> = async (app, { logger, metrics }) => {
  app.decorateRequest('failure', null)
  const options = { logger, metrics, mistakes: createMistakes(logger) }
  // Not an async function, nor are the other hooks that every request passes: a promise for each would be paid for each.
  app.addHook('onRequest', (request, reply, done) => {
    observe(request, reply, options)
    done()
  })
}

interface Observing extends AccessLogOptions {
  readonly mistakes: Mistakes
}

/** For each request once, before anything else becomes of it. */
const observe = (request: FastifyRequest, reply: FastifyReply, options: Observing): void => {
  request.receivedAt = performance.now()
  void reply.header('x-request-id', request.id)
  // oc takes any answer with this field for a registry's.
  void reply.header('docker-distribution-api-version', 'registry/2.0')
  const { client, raw } = request
  const sentBefore = raw.socket.bytesWritten
  // Not the framework's onResponse: it does not run where the client leaves, or is cut off, before the end.
  reply.raw.on('close', () => {
    const sent = { client: client.address, bytes: raw.socket.bytesWritten - sentBefore }
    // Attack, or a mistake of ours: what is thrown here would end the process, and every pull with it.
    try {
      record(request, reply, options, sent)
    } catch (error) {
      options.mistakes.tell('record', error)
    }
    if (request.beside !== null)
      audit(request, reply, request.beside, options).catch((error: unknown) =>
        options.mistakes.tell('audit', error),
      )
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
  const level = quietRoutes.has(route) ? 'debug' : levelOf(request, reply)
  logger[level](line(request, reply, { client, route, bytes, seconds }), 'request')
}

/** Once the rules beside have said what they say: the pull was over before. */
const audit = async (
  request: FastifyRequest,
  reply: FastifyReply,
  judged: Promise<ShadowDecision>,
  { logger, metrics }: AccessLogOptions,
) => {
  const { identity, decision, reference } = request
  const beside = await judged
  if (identity === null || decision === null || reference === null) return
  const difference = differenceOf(decision, beside, reply.statusCode)
  if (difference === undefined) return
  const { kind } = identity
  const { namespace } = decision
  const fields: AuditLine = {
    difference,
    requestId: request.id,
    identity: identity.user.username,
    kind,
    namespace,
    ...imageOf(reference, reply),
    rule: difference === 'gain' ? beside.decision?.rule : decision.rule,
    openedBy: beside.openedBy,
  }
  // A tag that was served, and a digest known in the namespace: the label has as many values as QCI has namespaces, whatever
  // namespace a client writes before a digest.
  const known = beside.openedBy.includes('image-puller') ? namespace : undefined
  if (difference === 'loss') metrics.auditLosses.inc({ namespace: known ?? '(none)', kind })
  if (difference === 'undecided') metrics.auditUndecided.inc()
  logger[difference === 'gain' ? 'info' : 'warn']({ ...fields, err: beside.error }, auditMessage)
}

/** What was asked for, and what was served for it. */
const imageOf = (reference: Reference, reply: FastifyReply) => {
  const served = reply.getHeader('docker-content-digest') as string | undefined
  return reference.kind === 'tag'
    ? { image: reference.qciTag as string, digest: served }
    : { image: reference.digest as string, digest: reference.digest as string }
}

export const accessLog = fp(plugin, { name: 'quay-proxy/access-log', fastify: '5.x' })

const levelOf = (request: FastifyRequest, reply: FastifyReply): 'info' | 'warn' =>
  reply.statusCode >= 500 || request.failure?.cause !== undefined ? 'warn' : 'info'

/** Why a login was refused, with the program that showed it: mostly it is one that does so again and again. */
const refusedOf = ({ failure, headers }: FastifyRequest) =>
  failure?.forLog === undefined
    ? undefined
    : { ...failure.forLog, userAgent: headers['user-agent']?.slice(0, 200) }

interface Measured {
  readonly client: string
  readonly route: string
  readonly bytes: number
  readonly seconds: number
}

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
    decision: decision === null ? undefined : decision.allowed ? 'allowed' : 'denied',
    rule: decision?.rule,
    source: decision?.source,
    status: reply.statusCode,
    error: failure?.code,
    refused: refusedOf(request),
    err: failure?.cause === undefined ? undefined : failure,
    aborted: reply.raw.writableFinished ? undefined : true,
    client: measured.client,
    route: measured.route,
    bytes: measured.bytes,
    // To a tenth of a millisecond.
    seconds: Math.round(measured.seconds * 1e4) / 1e4,
  }
}
