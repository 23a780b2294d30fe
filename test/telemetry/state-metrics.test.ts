import { Registry } from 'prom-client'
import t from 'tap'
import { createConnectionMetrics, createStateMetrics } from '../../src/telemetry/state-metrics.ts'

const build = { version: '1.2.3', node: 'v26.1.0' }

await t.test('the build, readiness, and the age of credentials', async (test) => {
  const registry = new Registry()
  const state = { isReady: false, age: undefined as number | undefined }
  createStateMetrics(registry, build, {
    isReady: () => state.isReady,
    robotTokenAgeMs: () => state.age,
    certificateExpiry: () => 1_800_000_000_000,
  })
  createConnectionMetrics(registry, async () => 7)
  const before = await registry.metrics()
  for (const line of [
    'build_info{version="1.2.3",node="v26.1.0"} 1',
    'ready 0',
    'robot_token_age_seconds 0',
    'tls_certificate_expiry_timestamp_seconds 1800000000',
    'connections 7',
  ])
    test.match(before, `\nquay_proxy_${line}\n`)
  Object.assign(state, { isReady: true, age: 90_000 })
  const after = await registry.metrics()
  test.match(after, '\nquay_proxy_ready 1\n')
  test.match(after, '\nquay_proxy_robot_token_age_seconds 90\n')
})

await t.test('without TLS there is no certificate to expire', async (test) => {
  const registry = new Registry()
  createStateMetrics(registry, build, {
    isReady: () => true,
    robotTokenAgeMs: () => undefined,
    certificateExpiry: undefined,
  })
  test.notMatch(await registry.metrics(), 'certificate')
})
