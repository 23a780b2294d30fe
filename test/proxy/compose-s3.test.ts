import t, { type Test } from 'tap'
import { Registry } from 'prom-client'
import { composeS3, describeS3, type ComposeS3Options } from '../../src/proxy/compose-s3.ts'
import { userAgent } from '../../src/config/version.ts'
import { openStorage } from '../../src/storage/storage.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { noTracing } from '../../src/tracing/tracing.ts'
import { addAll, bytesOf, digestOf, freshDirectory } from '../storage/fixtures.ts'
import { bucket, s3Credentials, startS3 } from '../support/s3-server.ts'
import { recordTraces } from '../support/tracing.ts'
import { until } from '../support/until.ts'

const content = bytesOf(20_000)
const digest = digestOf(content)

const ofFile = { current: () => s3Credentials } as unknown as ComposeS3Options['files']['s3Credentials']

const setUp = async (
  test: Test,
  config: Partial<ComposeS3Options['config']> = {},
  hasFile = true,
  tracing = noTracing,
) => {
  const s3 = await startS3(test)
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(JSON.parse(line) as never) })
  const metrics = createMetrics(new Registry())
  const nothing = () => undefined
  const storage = openStorage({
    directory: freshDirectory(test),
    maxBytes: 100_000_000,
    observe: { fillEnded: nothing, evicted: nothing, corrupt: nothing, warning: nothing },
  })
  const composed = composeS3({
    config: {
      cacheS3: { bucket, prefix: 'p' },
      cacheS3Endpoint: s3.url,
      cacheS3Region: undefined,
      cacheS3Addressing: 'auto',
      s3Ca: undefined,
      blobDelivery: 'stream',
      ...config,
    },
    files: { s3Credentials: hasFile ? ofFile : undefined },
    storage,
    logger,
    metrics,
    tracing,
  })!
  test.teardown(async () => {
    await composed?.tier.close()
    await storage.close()
  })
  return { s3, lines, storage, composed, metrics: async () => await metrics.registry.metrics() }
}

const fetching = async (url: URL, signal: AbortSignal) => {
  const response = await fetch(url, { signal })
  return { statusCode: response.status, body: { discard: async () => await response.body?.cancel() } }
}

await t.test('without --cache-s3 there is none', async (test) => {
  const { composed, metrics } = await setUp(test, { cacheS3: undefined })
  test.equal(composed, undefined)
  test.notMatch(await metrics(), 'quay_proxy_cache_s3')
})

await t.test('traces: a look-up that a pull waits for', async (test) => {
  const { tracing, within, named } = recordTraces()
  const { composed } = await setUp(test, {}, true, tracing)
  await composed.tier.start()
  test.equal(await within(async () => await composed.tier.sizeOf('blobs', digest)), undefined)
  test.match(named('S3 look-up')?.attributes, { 'http.request.method': 'HEAD' })
})

await t.test('blobs on the disk are uploaded to the bucket, and counted', async (test) => {
  const { s3, storage, composed, metrics, lines } = await setUp(test)
  await composed.tier.start()
  const fill = await storage.blobs.begin(digest, content.length, 'alice')
  await addAll(fill!, content)
  await fill!.complete()
  composed.tier.offer('blobs', digest, 'alice')
  test.equal(describeS3(composed), 'cache in S3: in use, 1 uploads pending')
  await until(() => composed.tier.stats().uploads === 0)
  for (const sent of s3.userAgents) test.match(sent, userAgent, 'the SDK says who uses it')
  test.strictSame([...s3.objects.keys()], [`p/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`])
  const text = await metrics()
  test.match(text, 'quay_proxy_cache_s3_uploads_total{kind="blobs",outcome="stored"} 1')
  test.match(text, 'quay_proxy_cache_s3_requests_total{operation="head",outcome="absent"} 1')
  test.strictSame(lines, [])
})

await t.test('failures that need a person are logged once a minute, without secrets', async (test) => {
  const { s3, composed, lines, metrics } = await setUp(test)
  await composed.tier.start()
  s3.fault({ status: 403, count: 2 })
  for (const _ of [1, 2]) await composed.tier.get('blobs', digest, fetching)
  s3.fault({ status: 500, count: 3 })
  for (const _ of [1, 2, 3]) await composed.tier.get('blobs', digest, fetching)
  composed.tier.wrong('blobs', digest, 'digest')
  test.equal(describeS3(composed), 'cache in S3: unavailable, bypassed, 0 uploads pending')
  await until(async () => {
    await composed.tier.get('blobs', digestOf(Buffer.from('other')), fetching)
    return lines.some(({ msg }) => msg === 'S3 answers again')
  })
  test.strictSame(
    lines.map(({ level, msg }) => `${String(level)}: ${String(msg)}`),
    [
      'error: S3 refuses a request of the cache',
      'warn: S3 fails a request of the cache',
      'error: S3 is unavailable; the cache goes on without it',
      'error: S3 has other bytes than those of the digest; they are replaced',
      'info: S3 answers again',
    ],
  )
  test.match(await metrics(), 'quay_proxy_cache_s3_corrupt_objects_total{kind="blobs",reason="digest"} 1')
  const text = JSON.stringify(lines)
  for (const secret of [s3Credentials.secretAccessKey, s3Credentials.accessKeyId, 'X-Amz-Signature'])
    test.notOk(text.includes(secret))
})

await t.test('without a file the SDK looks for credentials, and for a region', async (test) => {
  const region = process.env['AWS_REGION']
  process.env['AWS_REGION'] = 'ap-south-1'
  test.teardown(() => {
    if (region === undefined) delete process.env['AWS_REGION']
    else process.env['AWS_REGION'] = region
  })
  const { composed } = await setUp(test, { cacheS3Endpoint: undefined }, false)
  await composed.tier.start()
  await composed.tier.close()
  test.match(describeS3(composed), 'cache in S3: in use')
})
