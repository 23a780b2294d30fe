import { rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { Registry } from 'prom-client'
import { composeStorage, describeStorage } from '../../src/proxy/compose-storage.ts'
import { entryPath } from '../../src/storage/cache-directory.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { addAll, bytesOf, digestOf, freshDirectory } from '../storage/fixtures.ts'

const content = bytesOf(2_000_000)
const digest = digestOf(content)

const setUp = (test: Test, cacheDir: string | undefined = freshDirectory(test), cacheBytes = 100_000_000) => {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(JSON.parse(line) as never) })
  const metrics = createMetrics(new Registry())
  const composed = composeStorage({ cacheDir, cacheBytes }, logger, metrics)
  test.teardown(async () => await composed?.storage.close())
  return { composed, lines, metrics: async () => await metrics.registry.metrics(), cacheDir }
}

const fill = async (composed: ReturnType<typeof composeStorage>, sent = content) => {
  const begun = await composed?.storage.blobs.begin(digest, content.length, 'alice')
  await addAll(begun!, sent, 1_000_000)
  await begun!.complete()
}

await t.test('without a directory there is none', async (test) => {
  const logger = createLogger('silent')
  const metrics = createMetrics(new Registry())
  test.equal(composeStorage({ cacheDir: undefined, cacheBytes: 1 }, logger, metrics), undefined)
  test.notMatch(await metrics.registry.metrics(), 'quay_proxy_cache_blobs')
})

await t.test('events are counted, and failures that need a person are logged', async (test) => {
  const { composed, lines, metrics, cacheDir } = setUp(test)
  await fill(composed)
  test.match(await metrics(), 'quay_proxy_cache_blobs 1')
  test.strictSame(lines, [])
  await fill(composed, Buffer.alloc(content.length))
  test.match(lines.at(-1), { kind: 'blobs', msg: 'upstream sent bytes of another digest' })
  writeFileSync(entryPath(cacheDir, 'blobs', { digest, size: content.length }), 'x')
  test.equal(await composed?.storage.blobs.find(digest, 'alice'), undefined)
  test.match(lines.at(-1), { kind: 'blobs', why: 'size', msg: 'corrupt cache entry dropped' })
  test.match(await metrics(), 'quay_proxy_cache_corrupt_entries_total{kind="blobs",reason="size"} 1')
})

await t.test('a bound that is small, and files that cannot be written', async (test) => {
  const { composed, lines, metrics } = setUp(test, undefined, 3_000_000)
  await fill(composed)
  const other = bytesOf(2_000_001)
  const second = await composed?.storage.blobs.begin(digestOf(other), other.length, 'alice')
  test.ok(second)
  test.match(await metrics(), 'quay_proxy_cache_evicted_bytes_total{kind="blobs"} 2000000')
  const broken = setUp(test)
  rmSync(broken.cacheDir, { recursive: true })
  test.equal(await broken.composed?.storage.blobs.begin(digest, 5, 'alice'), undefined)
  test.match(broken.lines.at(-1), { outcome: 'unwritable', msg: 'the disk of the cache: fill given up' })
  broken.composed?.storage.tags.set('a', 'b')
  await broken.composed?.storage.tags.flush()
  test.match(broken.lines.at(-1), { msg: 'cache', reason: /tags are lost at a restart/ })
  test.strictSame(lines, [])
})

await t.test('for /readyz?verbose', async (test) => {
  const { composed } = setUp(test)
  const { storage } = composed!
  test.equal(
    describeStorage(storage),
    'cache: 0 blobs of 0 MiB, 0 manifests, entries of the last start are still being read',
  )
  await storage.load(new AbortController().signal)
  await fill(composed)
  test.equal(
    describeStorage({ ...storage, isStuck: () => true }),
    'cache: 1 blobs of 2 MiB, 0 manifests, the disk does not answer',
  )
})
