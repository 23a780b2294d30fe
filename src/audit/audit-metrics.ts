/** Counters of audit mode. They exist only in audit mode. */
import type { Registry } from 'prom-client'
import { counterOn } from '../telemetry/instruments.ts'

export type AuditMetrics = ReturnType<typeof createAuditMetrics>

export const createAuditMetrics = (registry: Registry) => {
  const counter = counterOn(registry)
  return {
    losses: counter(
      'audit_losses_total',
      'Requests that the rule of qci-appci allows and --authorization=enforce would refuse.',
      ['namespace', 'kind'],
    ),
    undecided: counter(
      'audit_undecided_total',
      'Requests for which app.ci did not say in time what --authorization=enforce would decide.',
    ),
  }
}
