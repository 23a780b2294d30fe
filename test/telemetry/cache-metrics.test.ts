import t from 'tap'
import { Registry } from 'prom-client'
import { createCacheGauges, createCacheMetrics } from '../../src/telemetry/cache-metrics.ts'

await t.test('the sources of blobs, the outcomes of fills, and evictions', async (test) => {
  const registry = new Registry()
  let entries = 1
  createCacheGauges(registry, () => ({
    blobs: { entries, bytes: 5000 },
    manifests: { entries: 3, bytes: 4000 },
    isStuck: entries === 2,
  }))
  const told = createCacheMetrics(registry)
  const before = await registry.metrics()
  for (const line of [
    'quay_proxy_blobs_total{tier="bypassed"} 0',
    'quay_proxy_cache_fills_total{kind="manifests",outcome="unwritable"} 0',
    'quay_proxy_cache_corrupt_entries_total{kind="blobs",reason="digest"} 0',
    'quay_proxy_cache_evictions_total{kind="blobs"} 0',
    'quay_proxy_cache_sent_bytes_total 0',
    'quay_proxy_cache_disk_stuck 0',
  ])
    test.ok(before.includes(line), line)
  told.served('disk')
  told.sent(700)
  told.fillEnded('blobs', 'stored', 900)
  told.evicted('blobs', 300)
  told.corrupt('manifests', 'size')
  entries = 2
  const text = await registry.metrics()
  for (const line of [
    'quay_proxy_blobs_total{tier="disk"} 1',
    'quay_proxy_cache_sent_bytes_total 700',
    'quay_proxy_cache_fills_total{kind="blobs",outcome="stored"} 1',
    'quay_proxy_cache_filled_bytes_total{kind="blobs"} 900',
    'quay_proxy_cache_evictions_total{kind="blobs"} 1',
    'quay_proxy_cache_evicted_bytes_total{kind="blobs"} 300',
    'quay_proxy_cache_corrupt_entries_total{kind="manifests",reason="size"} 1',
    'quay_proxy_cache_blobs 2',
    'quay_proxy_cache_blob_bytes 5000',
    'quay_proxy_cache_manifests 3',
    'quay_proxy_cache_manifest_bytes 4000',
    'quay_proxy_cache_disk_stuck 1',
  ])
    test.ok(text.includes(line), line)
})
