/**
 * The plugin of audit mode: one log line and one count for each request that the rules of `enforce` would decide in another way. It works
 * when the response is closed, so it neither delays nor fails a pull.
 */
import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Decision } from '../access/decision.ts'
import type { Identity } from '../access/identity.ts'
import type { Reference } from '../oci/reference.ts'
import { imageOf } from '../registry/image-fields.ts'
import { explanationPaths, routePaths } from '../registry/route-paths.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createUnexpectedErrors } from '../telemetry/unexpected-errors.ts'
import { auditMessage, type AuditLine } from './audit-line.ts'
import type { AuditMetrics } from './audit-metrics.ts'
import { differenceOf } from './difference.ts'
import type { EvaluateShadow, ShadowDecision } from './shadow-decision.ts'

export interface AuditLogOptions {
  readonly evaluate: EvaluateShadow
  readonly logger: Logger
  readonly metrics: AuditMetrics
}

interface Decided {
  readonly identity: Identity
  readonly reference: Reference
  readonly decision: Decision
}

export const auditLog = (options: AuditLogOptions): FastifyPluginCallback => {
  const unexpected = createUnexpectedErrors(options.logger)
  const plugin: FastifyPluginCallback = (app, _options, done) => {
    app.addHook('onRequest', (request, reply, next) => {
      // Not the framework's onResponse: it does not run for a client that leaves before the end.
      reply.raw.on('close', () => {
        audit(request, reply, options).catch((error: unknown) => unexpected.report('audit', error))
      })
      next()
    })
    done()
  }
  return fp(plugin, { name: 'quay-proxy/audit', fastify: '5.x' })
}

const audit = async (
  request: FastifyRequest,
  reply: FastifyReply,
  { evaluate, logger, metrics }: AuditLogOptions,
): Promise<void> => {
  const decided = decidedOf(request, reply)
  if (decided === undefined) return
  const shadow = await evaluate(decided.identity, decided.reference)
  const difference = differenceOf(decided.decision, shadow)
  if (difference === undefined) return
  const { kind, user } = decided.identity
  const { namespace } = decided.decision
  const line: AuditLine = {
    difference,
    requestId: request.id,
    identity: user.username,
    kind,
    namespace,
    ...imageOf(decided.reference, reply),
    rule: difference === 'gain' ? shadow.decision?.rule : decided.decision.rule,
    openedBy: shadow.openedBy,
  }
  if (difference === 'loss') metrics.losses.inc({ namespace: namespaceLabel(shadow, namespace), kind })
  if (difference === 'undecided') metrics.undecided.inc()
  logger[difference === 'gain' ? 'info' : 'warn']({ ...line, err: shadow.error }, auditMessage)
}

/** Some clients request referrers with each image: the request of the image itself is audited. An explanation is no pull. */
const notAudited: ReadonlySet<string | undefined> = new Set([
  routePaths.referrers,
  explanationPaths.access,
  explanationPaths.page,
])

/** Undefined for a request that tells nothing: without a decision, or allowed and answered with an error. */
const decidedOf = (request: FastifyRequest, reply: FastifyReply): Decided | undefined => {
  const { identity, reference, decision } = request
  if (identity === null || reference === null || decision === null) return undefined
  if (notAudited.has(request.routeOptions.url)) return undefined
  if (decision.allowed && reply.statusCode >= 400) return undefined
  return { identity, reference, decision }
}

/**
 * Attack: a label that a client makes up, as the namespace before a digest. With `image-puller` the namespace is that of a tag of QCI or of
 * a digest that is known in it.
 */
const namespaceLabel = ({ openedBy }: ShadowDecision, namespace: string | undefined): string =>
  openedBy.includes('image-puller') && namespace !== undefined ? namespace : '(none)'
