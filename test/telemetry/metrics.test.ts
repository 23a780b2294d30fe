import { Registry, register } from 'prom-client'
import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  createDigestMetrics,
  createSharedStateMetrics,
  createMetrics,
  createWatchMetrics,
} from '../../src/telemetry/metrics.ts'
import { createCacheGauges, createCacheMetrics } from '../../src/telemetry/cache-metrics.ts'
import { createUpstreamGauges, createUpstreamMetrics } from '../../src/telemetry/upstream-metrics.ts'

await t.test('every instrument is on the Registry that was handed in, and on no other', async (test) => {
  const registry = new Registry()
  const metrics = createMetrics(registry)
  test.equal(metrics.registry, registry)
  test.strictSame(register.getMetricsAsArray(), [])
  const names = registry.getMetricsAsArray().map(({ name }) => name)
  test.equal(names.length, Object.keys(metrics).length - 1)
  for (const name of names) test.match(name, /^quay_proxy_[a-z_]+(_total|_seconds|_in_flight)$/)
  test.doesNotThrow(() => createMetrics(new Registry()), 'a second proxy in one process')
})

await t.test('what is counted is what a scrape shows', async (test) => {
  const registry = new Registry()
  const metrics = createMetrics(registry)
  metrics.requests.inc({ route: '/v2/', method: 'GET', status: 200 })
  metrics.requestSeconds.observe({ route: '/v2/' }, 0.003)
  metrics.sentBytes.inc({ route: '/v2/' }, 120)
  metrics.streamsInFlight.inc(2)
  metrics.shed.inc({ reason: 'stalled' })
  metrics.decisions.inc({ rule: 'qci-wide', source: 'live', kind: 'user' })
  metrics.auditLosses.inc({ namespace: 'ocp', kind: 'service-account' })
  metrics.auditUndecided.inc()
  metrics.reviews.inc({ kind: 'TokenReview', outcome: 'refused' })
  metrics.reviewsInFlight.inc({ lane: 'TokenReview' }, 3)
  metrics.reviewsShed.inc({ lane: 'TokenReview' })
  metrics.loginsLimited.inc({ limit: 'address' })
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
    'quay_proxy_audit_losses_total{namespace="ocp",kind="service-account"} 1',
    'quay_proxy_audit_undecided_total 1',
    'quay_proxy_reviews_total{kind="TokenReview",outcome="refused"} 1',
    'quay_proxy_reviews_in_flight{lane="TokenReview"} 3',
    'quay_proxy_reviews_shed_total{lane="TokenReview"} 1',
    'quay_proxy_logins_limited_total{limit="address"} 1',
    'quay_proxy_review_cache_hits_total{cache="TokenReview",outcome="authenticated",source="grace"} 1',
    'quay_proxy_upstream_requests_total{kind="blob",status="302"} 1',
    'quay_proxy_robot_refused_total 1',
    'quay_proxy_reload_failures_total{file="tls"} 1',
  ])
    test.ok(lines.includes(line), line)
})

await t.test(
  'a counter without labels is there before its first event, so that an alert sees the step',
  async (test) => {
    const registry = new Registry()
    createMetrics(registry)
    test.match(await registry.metrics(), /^quay_proxy_robot_refused_total 0$/m)
  },
)

await t.test('what is watched is asked for at every scrape, only where it is watched', async (test) => {
  const metrics = createMetrics(new Registry())
  let digests = 7
  const { restarts } = createWatchMetrics(metrics, () => ({
    digests: digests++,
    imageStreams: 2,
    notIndexed: 3,
    silentSeconds: 0.5,
  }))
  restarts.inc({ reason: 'expired' })
  for (const line of [
    'quay_proxy_watched_digests 7',
    'quay_proxy_watched_image_streams 2',
    'quay_proxy_digests_not_indexed 3',
    'quay_proxy_image_streams_silence_seconds 0.5',
    'quay_proxy_image_streams_restarts_total{reason="expired"} 1',
  ]) {
    digests = 7
    test.ok((await metrics.registry.metrics()).split('\n').includes(line), line)
  }
  digests = 8
  test.match(await metrics.registry.metrics(), 'quay_proxy_watched_digests 8')
})

await t.test('what is known of digests; without an index it is as complete as it gets', async (test) => {
  const rows = [
    [{}, [1, 1, 0]],
    [{ isLiveComplete: false, isWhole: false, followed: 5 }, [0, 0, 5]],
    [{ isLiveComplete: true, isWhole: false, followed: 6 }, [1, 0, 6]],
  ] as const
  for (const [progress, [live, whole, followed]] of rows) {
    const metrics = createMetrics(new Registry())
    createDigestMetrics(metrics, () => ({ digests: 3, restrictedDigests: 2, ...progress }))
    const lines = (await metrics.registry.metrics()).split('\n')
    for (const line of [
      'quay_proxy_known_digests 3',
      'quay_proxy_restricted_digests 2',
      `quay_proxy_restricted_index_complete ${live}`,
      `quay_proxy_restricted_index_whole ${whole}`,
      `quay_proxy_restricted_tags_followed ${followed}`,
    ])
      test.ok(lines.includes(line), line)
  }
})

await t.test('whether replicas share what they know', async (test) => {
  for (const [status, connected] of [
    [{ state: 'connected', replicas: 3 }, 1],
    [{ state: 'connected', reason: 'it takes no writes', replicas: 3 }, 0],
    [{ state: 'away', reason: 'it does not answer', replicas: 3 }, 0],
  ] as const) {
    const metrics = createMetrics(new Registry())
    createSharedStateMetrics(metrics, () => status)
    const lines = (await metrics.registry.metrics()).split('\n')
    test.ok(lines.includes(`quay_proxy_shared_state_connected ${connected}`), status.state)
    test.ok(lines.includes('quay_proxy_shared_state_replicas 3'))
  }
})

await t.test('docs/metrics.md lists all there are, in their own words', async (test) => {
  const metrics = createMetrics(new Registry())
  createUpstreamMetrics(metrics.registry)
  createUpstreamGauges(metrics.registry, () => ({ manifests: 0, bytes: 0, tags: 0 }))
  createWatchMetrics(metrics, () => ({ digests: 0, imageStreams: 0, notIndexed: 0, silentSeconds: 0 }))
  createDigestMetrics(metrics, () => ({ digests: 0, restrictedDigests: 0 }))
  createSharedStateMetrics(metrics, () => ({ state: 'away', replicas: 1 }))
  createCacheMetrics(metrics.registry)
  createCacheGauges(metrics.registry, () => ({
    blobs: { entries: 0, bytes: 0 },
    manifests: { entries: 0, bytes: 0 },
    isStuck: false,
  }))
  const served = (await metrics.registry.getMetricsAsJSON()).map(
    ({ name, type, help }) => `\`${name}\` | ${type} | ${help}`,
  )
  const listed = readFileSync('docs/metrics.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.replaceAll(/ {2,}/g, ' ').slice(2, -2))
  test.strictSame(listed, served.toSorted())
})
