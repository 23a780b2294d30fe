import { Registry, register } from 'prom-client'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { createAuditMetrics } from '../../src/audit/audit-metrics.ts'
import { createCacheGauges, createCacheMetrics } from '../../src/telemetry/cache-metrics.ts'
import { createDigestMetrics, createWatchMetrics } from '../../src/telemetry/digest-metrics.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createProcessMetrics } from '../../src/telemetry/process-metrics.ts'
import { createConnectionMetrics, createStateMetrics } from '../../src/telemetry/state-metrics.ts'
import { createMirrorMetrics } from '../../src/telemetry/mirror-metrics.ts'
import { createS3Gauges, createS3Metrics } from '../../src/telemetry/s3-metrics.ts'
import { createSharedStateMetrics } from '../../src/telemetry/shared-state-metrics.ts'
import { createUpstreamGauges, createUpstreamMetrics } from '../../src/telemetry/upstream-metrics.ts'

await t.test('every instrument is on the given Registry, and on no other', async (test) => {
  const registry = new Registry()
  const metrics = createMetrics(registry)
  test.equal(metrics.registry, registry)
  test.strictSame(register.getMetricsAsArray(), [])
  const names = registry.getMetricsAsArray().map(({ name }) => name)
  test.equal(names.length, Object.keys(metrics).length - 1)
  for (const name of names) test.match(name, /^quay_proxy_[a-z_]+(_total|_seconds|_in_flight)$/)
  test.doesNotThrow(() => createMetrics(new Registry()), 'a second proxy in one process')
})

await t.test('a scrape shows what was counted', async (test) => {
  const registry = new Registry()
  const metrics = createMetrics(registry)
  metrics.requests.inc({ route: '/v2/', method: 'GET', status: 200 })
  metrics.requestSeconds.observe({ route: '/v2/' }, 0.003)
  metrics.sentBytes.inc({ route: '/v2/' }, 120)
  metrics.streamsInFlight.inc(2)
  metrics.shed.inc({ reason: 'stalled' })
  metrics.decisions.inc({ rule: 'qci-wide', source: 'live', kind: 'user' })
  metrics.reviews.inc({ kind: 'TokenReview', outcome: 'refused' })
  metrics.reviewsInFlight.inc({ queue: 'TokenReview' }, 3)
  metrics.reviewsShed.inc({ queue: 'TokenReview' })
  metrics.loginsLimited.inc({ reason: 'address' })
  metrics.cacheHits.inc({ cache: 'TokenReview', outcome: 'authenticated', source: 'grace' })
  metrics.upstreamRequests.inc({ kind: 'blob', status: 302 })
  metrics.robotRefused.inc()
  metrics.reloadFailures.inc({ file: 'tls' })
  const lines = (await registry.metrics()).split('\n')
  for (const line of [
    'quay_proxy_requests_total{route="/v2/",method="GET",status="200"} 1',
    'quay_proxy_request_duration_seconds_bucket{le="0.001",route="/v2/"} 0',
    'quay_proxy_request_duration_seconds_bucket{le="0.005",route="/v2/"} 1',
    'quay_proxy_request_duration_seconds_bucket{le="300",route="/v2/"} 1',
    'quay_proxy_sent_bytes_total{route="/v2/"} 120',
    'quay_proxy_shed_total{reason="stalled"} 1',
    'quay_proxy_streams_in_flight 2',
    'quay_proxy_decisions_total{rule="qci-wide",source="live",kind="user"} 1',
    'quay_proxy_reviews_total{kind="TokenReview",outcome="refused"} 1',
    'quay_proxy_reviews_in_flight{queue="TokenReview"} 3',
    'quay_proxy_reviews_shed_total{queue="TokenReview"} 1',
    'quay_proxy_logins_limited_total{reason="address"} 1',
    'quay_proxy_review_cache_hits_total{cache="TokenReview",outcome="authenticated",source="grace"} 1',
    'quay_proxy_upstream_requests_total{kind="blob",status="302"} 1',
    'quay_proxy_robot_refused_total 1',
    'quay_proxy_reload_failures_total{file="tls"} 1',
  ])
    test.ok(lines.includes(line), line)
})

/** The metrics of every room. */
const createAll = (): Registry => {
  const metrics = createMetrics(new Registry())
  createAuditMetrics(metrics.registry)
  createUpstreamMetrics(metrics.registry)
  createUpstreamGauges(metrics.registry, () => ({ manifests: 0, bytes: 0, tags: 0 }))
  createWatchMetrics(metrics, () => ({ digests: 0, imageStreams: 0, notIndexed: 0, silentSeconds: 0 }))
  createDigestMetrics(metrics, () => ({ digests: 0, restrictedDigests: 0 }))
  createSharedStateMetrics(metrics, () => ({ state: 'unavailable', replicas: 1 }))
  createStateMetrics(
    metrics.registry,
    { version: '1', node: 'v26' },
    { isReady: () => true, robotTokenAgeMs: () => undefined, certificateExpiry: () => 0 },
  )
  createConnectionMetrics(metrics.registry, async () => 0)
  createProcessMetrics(metrics.registry).close()
  createCacheMetrics(metrics.registry)
  createCacheGauges(metrics.registry, () => ({
    blobs: { entries: 0, bytes: 0 },
    manifests: { entries: 0, bytes: 0 },
    isStuck: false,
  }))
  createMirrorMetrics(metrics.registry)
  createS3Metrics(metrics.registry)
  createS3Gauges(metrics.registry, () => ({ isOpen: false, uploads: 0 }))
  return metrics.registry
}

/** Counters with a label whose values are not known before the first event: routes, status codes, namespaces. */
const open = new Set([
  'quay_proxy_audit_losses_total',
  'quay_proxy_requests_total',
  'quay_proxy_sent_bytes_total',
  'quay_proxy_upstream_requests_total',
])

await t.test('generated: every counter has all its series at 0 before the first event', async (test) => {
  const counters = (await createAll().getMetricsAsJSON()).filter(({ name }) =>
    /^quay_proxy_.*_total$/.test(name),
  )
  test.ok(counters.length > 15)
  test.strictSame(
    counters
      .filter(({ values }) => values.length === 0)
      .map(({ name }) => name)
      .toSorted(),
    [...open].toSorted(),
  )
  for (const { name, values } of counters)
    test.ok(
      values.every(({ value }) => value === 0),
      name,
    )
})

await t.test('an impossible combination of labels has no series', async (test) => {
  const lines = await createAll().metrics()
  for (const possible of [
    'robot_refused_total 0',
    'decisions_total{rule="robot",source="none",kind="robot"} 0',
    'decisions_total{rule="denied",source="none",kind="anonymous"} 0',
    'decisions_total{rule="image-puller",source="grace",kind="service-account"} 0',
    'reviews_total{kind="TokenReview",outcome="failed"} 0',
    'reviews_shed_total{queue="SubjectAccessReview of system:anonymous"} 0',
    'reviews_in_flight{queue="TokenReview"} 0',
    'review_cache_hits_total{cache="SubjectAccessReview",outcome="allowed",source="grace"} 0',
    'review_cache_hits_total{cache="TokenReview",outcome="refused",source="cached"} 0',
    'upstream_rate_limited_total{kind="referrers",reason="paused"} 0',
    'review_duration_seconds_count{kind="TokenReview"} 0',
    'reload_failures_total{file="shared state password"} 0',
  ])
    test.match(lines, `\nquay_proxy_${possible}\n`)
  for (const impossible of [
    'decisions_total{rule="robot",source="live"',
    'decisions_total{rule="qci-wide",source="none"',
    'decisions_total{rule="qci-wide",source="live",kind="robot"',
    'decisions_total{rule="denied",source="grace"',
    'decisions_total{rule="service-account"',
    'reviews_total{kind="TokenReview",outcome="allowed"',
    'review_cache_hits_total{cache="SubjectAccessReview",outcome="denied",source="grace"',
    'review_cache_hits_total{cache="TokenReview",outcome="failed"',
  ])
    test.notMatch(lines, impossible)
})

await t.test('docs/metrics.md lists all metrics with their help texts', async (test) => {
  const served = (await createAll().getMetricsAsJSON()).map(
    ({ name, type, help }) => `\`${name}\` | ${type} | ${help}`,
  )
  const listed = readFileSync('docs/metrics.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.replaceAll(/ {2,}/g, ' ').slice(2, -2))
  test.strictSame(listed, served.toSorted())
})
