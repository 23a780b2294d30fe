import { Registry } from 'prom-client'
import type { Test } from 'tap'
import t from 'tap'
import { createKnownDigests, type KnownDigestsOptions } from '../src/known-digests.ts'
import { createLogger } from '../src/logging.ts'
import { createMetrics } from '../src/metrics.ts'
import { parseDigest } from '../src/reference.ts'
import { hex, startApi } from './kubernetes/watching.ts'
import { until } from './registry/fakes.ts'

const [a, b, c] = [parseDigest(hex('a')), parseDigest(hex('b')), parseDigest(hex('c'))]
const ocp = { namespace: 'ocp', name: '4.15' }
const team = { namespace: 'my-team', name: 'app' }

const create = async (test: Test, options: Partial<KnownDigestsOptions> = {}) => {
  const started = await startApi(test)
  const lines: Record<string, unknown>[] = []
  const metrics = createMetrics(new Registry())
  const known = createKnownDigests({
    imageStreams: 'watch',
    kubeConfig: started.kubeConfig,
    isRestricted: (namespace) => namespace.endsWith('-priv'),
    logger: createLogger('info', { write: (line) => void lines.push(JSON.parse(line) as never) }),
    metrics,
    ...options,
  })
  test.teardown(known.close)
  return { ...started, known, lines, scrape: async () => await metrics.registry.metrics() }
}

await t.test('off: only what is learnt is known, and nobody is asked', async (test) => {
  const { known, imageStreams, scrape } = await create(test, { imageStreams: 'off' })
  known.start()
  known.digests.learn(a, [ocp])
  test.strictSame(known.digests.seenIn(a), [ocp])
  test.strictSame(known.notReady(), [])
  await known.close()
  test.strictSame(imageStreams.requests, { pages: 0, watches: 0 })
  test.notMatch(await scrape(), 'watched')
})

await t.test('watched and learnt are one, each place once, what was learnt last', async (test) => {
  const { known, imageStreams, scrape, lines } = await create(test)
  imageStreams.put({ ...ocp, tags: { base: [a, b] } })
  imageStreams.put({ ...team, tags: { latest: [a] } })
  test.strictSame(known.notReady(), ['the ImageStreams of app.ci are not listed yet'])
  known.digests.learn(a, [{ ...ocp }])
  known.digests.learn(c, [team])
  known.start()
  await until(() => known.notReady().length === 0)
  test.strictSame(known.digests.seenIn(a), [team, ocp])
  test.strictSame(known.digests.seenIn(b), [ocp])
  test.strictSame(known.digests.seenIn(c), [team])
  imageStreams.delete('ocp', '4.15')
  await until(() => known.digests.seenIn(b).length === 0)
  test.strictSame(known.digests.seenIn(a), [team, ocp], 'what was pulled by tag stays')
  const metrics = await scrape()
  test.match(metrics, 'quay_proxy_watched_digests 1\n')
  test.match(metrics, 'quay_proxy_watched_image_streams 1\n')
  test.match(metrics, 'quay_proxy_watched_digests_left_out 0\n')
  test.match(metrics, /quay_proxy_image_streams_silence_seconds 0\.\d+/)
  test.match(lines, [{ level: 'info', digests: 2, imageStreams: 2 }])
})

await t.test('a list that fails, and one that is too large, are alarms', async (test) => {
  const { known, api, imageStreams, scrape, lines } = await create(test, { max: 1 })
  api.fault({ kind: 'status' })
  known.start()
  await until(() => lines.length === 1)
  test.match(lines[0], { level: 'warn', trouble: 'list', err: { message: 'API server answered 503' } })
  test.match(await scrape(), 'quay_proxy_image_streams_restarts_total{reason="list"} 1')
  imageStreams.put({ ...ocp, tags: { base: [a, b] } })
  api.fault({ kind: 'none' })
  await until(() => known.notReady().length === 0)
  test.match(lines[1], { level: 'error', leftOut: 1, msg: /more digests than are held/ })
  test.match(await scrape(), 'quay_proxy_watched_digests_left_out 1\n')
  imageStreams.put({ ...ocp, tags: { base: [a] } })
  await until(() => lines.length === 4)
  test.match(lines[3], { level: 'info', leftOut: 0, msg: /held again/ })
})
