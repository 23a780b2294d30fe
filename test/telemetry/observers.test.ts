import { Registry } from 'prom-client'
import t from 'tap'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import {
  createRequestObservers,
  createReviewObserver,
  createUpstreamObserver,
} from '../../src/telemetry/observers.ts'

const setUp = () => {
  const registry = new Registry()
  const noted: string[] = []
  const metrics = createMetrics(registry)
  const linesOf = async (name: string) =>
    (await registry.getSingleMetricAsString(`quay_proxy_${name}`))
      .split('\n')
      .filter((line) => !line.startsWith('#') && !line.endsWith(' 0'))
  return { metrics, noted, linesOf, health: { note: (outcome: string) => void noted.push(outcome) } }
}

await t.test('requests: decisions, streams, and refusals by the limits', async (test) => {
  const { metrics, linesOf } = setUp()
  const { observe, observeStreams, observeShed } = createRequestObservers(metrics)
  observe({ rule: 'qci-wide', source: 'cached' }, { kind: 'user' })
  observe({ rule: 'none', source: 'live' }, { kind: 'anonymous' })
  test.strictSame(await linesOf('decisions_total'), [
    'quay_proxy_decisions_total{rule="qci-wide",source="cached",kind="user"} 1',
    'quay_proxy_decisions_total{rule="denied",source="live",kind="anonymous"} 1',
  ])
  for (const change of [1, 1, -1] as const) observeStreams(change)
  test.strictSame(await linesOf('streams_in_flight'), ['quay_proxy_streams_in_flight 1'])
  observeShed('forms')
  test.strictSame(await linesOf('shed_total'), ['quay_proxy_shed_total{reason="forms"} 1'])
})

await t.test('reviews: only those that were sent tell about the API server', async (test) => {
  const { metrics, linesOf, noted, health } = setUp()
  const observe = createReviewObserver(metrics, health)
  observe({ kind: 'TokenReview', outcome: 'authenticated', source: 'live' })
  observe({ kind: 'SubjectAccessReview', outcome: 'failed', source: 'live' })
  observe({ kind: 'SubjectAccessReview', outcome: 'allowed', source: 'grace' })
  test.strictSame(await linesOf('reviews_total'), [
    'quay_proxy_reviews_total{kind="TokenReview",outcome="authenticated"} 1',
    'quay_proxy_reviews_total{kind="SubjectAccessReview",outcome="failed"} 1',
  ])
  test.strictSame(await linesOf('review_cache_hits_total'), [
    'quay_proxy_review_cache_hits_total{cache="SubjectAccessReview",outcome="allowed",source="grace"} 1',
  ])
  test.strictSame(noted, ['answered', 'failed'])
})

await t.test('upstream: an answer of 5xx is a failure', async (test) => {
  const { metrics, linesOf, noted, health } = setUp()
  const observe = createUpstreamObserver(metrics, health)
  for (const status of [200, 404, 503, 'failed'] as const) observe({ kind: 'blob', status })
  test.equal((await linesOf('upstream_requests_total')).length, 4)
  test.strictSame(noted, ['answered', 'answered', 'failed', 'failed'])
})
