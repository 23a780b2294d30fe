import { Registry } from 'prom-client'
import t from 'tap'
import { createAuditMetrics } from '../../src/audit/audit-metrics.ts'

await t.test('losses by namespace and kind of identity, and what was not decided', async (test) => {
  const registry = new Registry()
  const { losses, undecided } = createAuditMetrics(registry)
  test.match(await registry.metrics(), 'quay_proxy_audit_undecided_total 0')
  losses.inc({ namespace: 'ocp', kind: 'service-account' })
  undecided.inc()
  const shown = await registry.metrics()
  test.match(shown, 'quay_proxy_audit_losses_total{namespace="ocp",kind="service-account"} 1')
  test.match(shown, 'quay_proxy_audit_undecided_total 1')
})

await t.test('attack: a project for each loss does not create a series for each', async (test) => {
  const registry = new Registry()
  const { losses } = createAuditMetrics(registry, 2)
  for (const namespace of ['a', 'b', 'c', 'd', 'a']) losses.inc({ namespace, kind: 'service-account' })
  const shown = (await registry.metrics())
    .split('\n')
    .filter((line) => line.startsWith('quay_proxy_audit_losses_total'))
  test.strictSame(
    shown,
    [
      ['a', 2],
      ['b', 1],
      ['(other)', 2],
    ].map(
      ([namespace, count]) =>
        `quay_proxy_audit_losses_total{namespace="${namespace}",kind="service-account"} ${count}`,
    ),
  )
})
