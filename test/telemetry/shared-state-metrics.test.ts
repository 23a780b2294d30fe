import { Registry } from 'prom-client'
import t from 'tap'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createSharedStateMetrics } from '../../src/telemetry/shared-state-metrics.ts'

await t.test('whether replicas share state', async (test) => {
  for (const [status, connected] of [
    [{ state: 'connected', replicas: 3 }, 1],
    [{ state: 'connected', reason: 'it takes no writes', replicas: 3 }, 0],
    [{ state: 'unavailable', reason: 'it does not answer', replicas: 3 }, 0],
  ] as const) {
    const metrics = createMetrics(new Registry())
    createSharedStateMetrics(metrics, () => status)
    const lines = (await metrics.registry.metrics()).split('\n')
    test.ok(lines.includes(`quay_proxy_shared_state_connected ${connected}`), status.state)
    test.ok(lines.includes('quay_proxy_shared_state_replicas 3'))
  }
})
