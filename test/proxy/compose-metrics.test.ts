import { X509Certificate } from 'node:crypto'
import { Registry } from 'prom-client'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { composeMetrics } from '../../src/proxy/compose-metrics.ts'
import type { ReloadedFiles } from '../../src/proxy/reloaded-files.ts'
import { selfSigned } from '../support/tls.ts'

await t.test('the metrics of this build and of its files', async (test) => {
  const registry = new Registry()
  const cert = String(selfSigned().cert)
  const tls = { current: () => ({ cert, key: '' }) } as NonNullable<ReloadedFiles['tls']>
  const options = { robot: { tokenAgeMs: () => 5000 }, health: { notReady: () => ['shutting down'] } }
  const { close } = composeMetrics({ metrics: { registry }, files: { tls }, ...options })
  test.teardown(close)
  const lines = await registry.metrics()
  test.match(lines, `quay_proxy_build_info{version="${manifest.version}",node="${process.version}"} 1`)
  test.match(lines, '\nquay_proxy_ready 0\n')
  test.match(lines, '\nquay_proxy_robot_token_age_seconds 5\n')
  const expiry = new X509Certificate(cert).validToDate.getTime() / 1000
  test.match(lines, `\nquay_proxy_tls_certificate_expiry_timestamp_seconds ${expiry}\n`)
  test.match(lines, '\nprocess_resident_memory_bytes ')
})

await t.test('without TLS, when ready', async (test) => {
  const registry = new Registry()
  const options = { robot: { tokenAgeMs: () => undefined }, health: { notReady: () => [] } }
  test.teardown(composeMetrics({ metrics: { registry }, files: { tls: undefined }, ...options }).close)
  const lines = await registry.metrics()
  test.match(lines, '\nquay_proxy_ready 1\n')
  test.notMatch(lines, 'certificate')
})
