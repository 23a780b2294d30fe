/** Counters of audit mode. They exist only in audit mode. */
import type { Registry } from 'prom-client'
import { counterOn } from '../telemetry/instruments.ts'

export type AuditMetrics = ReturnType<typeof createAuditMetrics>

/** Attack: whoever may create projects on app.ci would create series without end. The log has every namespace. */
const defaultMaxNamespaces = 200
/** No namespace can have this name. */
const otherNamespaces = '(other)'

/** @param maxNamespaces the first ones have a series of their own, the others share one */
export const createAuditMetrics = (registry: Registry, maxNamespaces = defaultMaxNamespaces) => {
  const counter = counterOn(registry)
  const losses = counter(
    'audit_losses_total',
    'Requests that the rule of qci-appci allows and --authorization=enforce would refuse.',
    ['namespace', 'kind'],
  )
  const namespaces = new Set<string>()
  const labelOf = (namespace: string): string => {
    if (namespaces.size < maxNamespaces) namespaces.add(namespace)
    return namespaces.has(namespace) ? namespace : otherNamespaces
  }
  return {
    losses: {
      inc: ({ namespace, kind }: { readonly namespace: string; readonly kind: string }): void =>
        losses.inc({ namespace: labelOf(namespace), kind }),
    },
    undecided: counter(
      'audit_undecided_total',
      'Requests for which app.ci did not say in time what --authorization=enforce would decide.',
    ),
  }
}
