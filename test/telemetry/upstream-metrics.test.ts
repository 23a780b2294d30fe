import t from 'tap'
import { Registry } from 'prom-client'
import { createUpstreamGauges, createUpstreamMetrics } from '../../src/telemetry/upstream-metrics.ts'

await t.test('requests, retries, limits and the cache are exposed at a scrape', async (test) => {
  const registry = new Registry()
  let manifests = 1
  createUpstreamGauges(registry, () => ({ manifests, bytes: 2700, tags: 3 }))
  const told = createUpstreamMetrics(registry)
  told.manifest({ source: 'stale' })
  told.tags('cached')
  told.retry()
  told.hedge()
  told.circuitOpen('path')
  told.resume('resumed')
  told.limited('tags', 'own-queue')
  told.paused('tags', 1.5)
  told.wait('manifest', 0.02)
  told.slotRefused('time')
  manifests = 2
  const text = await registry.metrics()
  for (const line of [
    'quay_proxy_manifests_total{source="stale"} 1',
    'quay_proxy_tag_pages_total{source="cached"} 1',
    'quay_proxy_upstream_retries_total 1',
    'quay_proxy_upstream_hedges_total 1',
    'quay_proxy_upstream_circuit_open_total{scope="path"} 1',
    'quay_proxy_blob_resumes_total{outcome="resumed"} 1',
    'quay_proxy_upstream_rate_limited_total{kind="tags",reason="own-queue"} 1',
    'quay_proxy_upstream_pause_seconds_total{kind="tags"} 1.5',
    'quay_proxy_upstream_wait_seconds_bucket{le="0.05",kind="manifest"} 1',
    'quay_proxy_blob_slots_exhausted_total{reason="time"} 1',
    'quay_proxy_manifest_cache_manifests 2',
    'quay_proxy_manifest_cache_bytes 2700',
    'quay_proxy_manifest_cache_tags 3',
  ])
    test.ok(text.includes(line), line)
})
