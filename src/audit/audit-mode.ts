/**
 * `--authorization=audit`: enforces the rule of qci-appci, and evaluates the rules of `enforce` as well. After the migration, delete this
 * room, the lines of `proxy/compose.ts` that call this function, the flag, and the command `audit-report`.
 */
import type { FastifyPluginCallback } from 'fastify'
import type { Registry } from 'prom-client'
import type { AccessReviews, Policy } from '../access/policy.ts'
import type { RecentGrants } from '../access/recent-grants.ts'
import type { RequirementsOf } from '../access/requirement.ts'
import type { DenialMessage } from '../registry/denial.ts'
import type { Logger } from '../telemetry/logging.ts'
import { auditLog } from './audit-log.ts'
import { createAuditMetrics } from './audit-metrics.ts'
import { createLegacyDenialMessage } from './legacy-denial.ts'
import { createLegacyPolicy } from './legacy-policy.ts'
import { createShadow } from './shadow-decision.ts'

export interface AuditModeOptions {
  /** The rules of `enforce`. */
  readonly policy: Pick<Policy, 'decide'>
  readonly requirementsOf: RequirementsOf
  readonly reviews: AccessReviews
  readonly recentGrants: RecentGrants
  readonly qciNamespace: string
  readonly logger: Logger
  readonly registry: Registry
}

export interface AuditMode {
  /** The rule of qci-appci, which is enforced. */
  readonly policy: Policy
  readonly denied: DenialMessage
  readonly plugin: FastifyPluginCallback
}

export const createAuditMode = (options: AuditModeOptions): AuditMode => {
  const { policy, requirementsOf, qciNamespace, logger, registry } = options
  return {
    policy: createLegacyPolicy(options),
    denied: createLegacyDenialMessage(qciNamespace),
    plugin: auditLog({
      evaluate: createShadow(policy, requirementsOf),
      logger,
      metrics: createAuditMetrics(registry),
    }),
  }
}
