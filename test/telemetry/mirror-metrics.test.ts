import t from 'tap'
import { Registry } from 'prom-client'
import { createMirrorMetrics } from '../../src/telemetry/mirror-metrics.ts'

await t.test('requests to the mirror, by method and outcome', async (test) => {
  const registry = new Registry()
  const { requests } = createMirrorMetrics(registry)
  requests.inc({ method: 'POST', outcome: 'late' })
  const text = await registry.metrics()
  for (const line of [
    'quay_proxy_mirror_requests_total{method="GET",outcome="shed"} 0',
    'quay_proxy_mirror_requests_total{method="POST",outcome="late"} 1',
  ])
    test.ok(text.includes(line), line)
})
