import t from 'tap'
import { Registry } from 'prom-client'
import { createS3Gauges, createS3Metrics } from '../../src/telemetry/s3-metrics.ts'

await t.test('requests, uploads, wrong objects, and the state of S3', async (test) => {
  const registry = new Registry()
  let state = { isOpen: false, uploads: 0 }
  createS3Gauges(registry, () => state)
  const told = createS3Metrics(registry)
  const before = await registry.metrics()
  for (const line of [
    'quay_proxy_cache_s3_requests_total{operation="get",outcome="circuit-open"} 0',
    'quay_proxy_cache_s3_uploads_total{kind="manifests",outcome="dropped"} 0',
    'quay_proxy_cache_s3_corrupt_objects_total{kind="blobs",reason="size"} 0',
    'quay_proxy_cache_s3_read_bytes_total 0',
    'quay_proxy_cache_s3_broken_bodies_total 0',
    'quay_proxy_cache_s3_circuit_open 0',
    'quay_proxy_cache_s3_uploads_pending 0',
  ])
    test.ok(before.includes(line), line)
  told.request('head', 'absent')
  told.uploaded('blobs', 'stored', 700)
  told.corrupt('blobs', 'digest')
  told.read(100, false)
  told.read(50, true)
  state = { isOpen: true, uploads: 3 }
  const text = await registry.metrics()
  for (const line of [
    'quay_proxy_cache_s3_requests_total{operation="head",outcome="absent"} 1',
    'quay_proxy_cache_s3_uploads_total{kind="blobs",outcome="stored"} 1',
    'quay_proxy_cache_s3_uploaded_bytes_total{kind="blobs"} 700',
    'quay_proxy_cache_s3_corrupt_objects_total{kind="blobs",reason="digest"} 1',
    'quay_proxy_cache_s3_read_bytes_total 150',
    'quay_proxy_cache_s3_broken_bodies_total 1',
    'quay_proxy_cache_s3_circuit_open 1',
    'quay_proxy_cache_s3_uploads_pending 3',
  ])
    test.ok(text.includes(line), line)
})
