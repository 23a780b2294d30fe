import { Registry } from 'prom-client'
import type { Test } from 'tap'
import t from 'tap'
import { createLogger } from '../../src/telemetry/logging.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { parseDigest } from '../../src/oci/reference.ts'
import { createWatchedClaims, type WatchedClaimsOptions } from '../../src/proxy/watched-claims.ts'
import { hex, startApi } from '../kubernetes/watching.ts'
import { until } from '../support/until.ts'

const [a, b] = [parseDigest(hex('a')), parseDigest(hex('b'))]
const ocp = { namespace: 'ocp', name: '4.15' }
const team = { namespace: 'my-team', name: 'app' }

const create = async (test: Test, options: Partial<WatchedClaimsOptions> = {}) => {
  const started = await startApi(test)
  const lines: Record<string, unknown>[] = []
  const changes: string[] = []
  const metrics = createMetrics(new Registry())
  const claims = createWatchedClaims(
    {
      imageStreams: 'watch',
      kubeConfig: started.kubeConfig,
      isRestricted: (namespace) => namespace.endsWith('-priv'),
      monorepos: [],
      logger: createLogger('info', { write: (line) => void lines.push(JSON.parse(line) as never) }),
      metrics,
      ...options,
    },
    ({ namespace, name }, digests) => void changes.push(`${namespace}/${name} ${digests.length}`),
  )
  test.teardown(claims.close)
  return { ...started, claims, lines, changes, scrape: async () => await metrics.registry.metrics() }
}

for (const [title, options] of [
  ['off', { imageStreams: 'off' }],
  ['without a cluster', { kubeConfig: undefined }],
] as const)
  await t.test(`${title}: no digest is claimed, and no request is sent`, async (test) => {
    const { claims, imageStreams, scrape } = await create(test, options)
    claims.start()
    test.strictSame([claims.of(a), claims.notReady()], [[], []])
    await claims.close()
    test.strictSame(imageStreams.requests, { pages: 0, watches: 0 })
    test.notMatch(await scrape(), 'watched')
  })

await t.test(
  'digests of listed and watched ImageStreams are claimed until the ImageStream is deleted',
  async (test) => {
    const { claims, imageStreams, scrape, lines, changes } = await create(test)
    imageStreams.put({ ...ocp, tags: { base: [a, b] } })
    imageStreams.put({ ...team, tags: { latest: [a] } })
    test.strictSame(claims.notReady(), ['the ImageStreams of app.ci are not listed yet'])
    claims.start()
    await until(() => claims.notReady().length === 0)
    test.match(claims.of(a), [
      { ...ocp, tag: 'base' },
      { ...team, tag: 'latest' },
    ])
    test.strictSame(changes, ['ocp/4.15 2', 'my-team/app 1'])
    imageStreams.delete('ocp', '4.15')
    await until(() => claims.of(b).length === 0)
    const metrics = await scrape()
    test.match(metrics, 'quay_proxy_watched_digests 1\n')
    test.match(metrics, 'quay_proxy_watched_image_streams 1\n')
    test.match(metrics, 'quay_proxy_digests_not_indexed 0\n')
    test.match(metrics, /quay_proxy_image_streams_silence_seconds 0\.\d+/)
    test.match(lines, [{ level: 'info', digests: 2, imageStreams: 2 }])
  },
)

await t.test('a failed list and a list that is too large are logged and counted', async (test) => {
  const { claims, api, imageStreams, scrape, lines } = await create(test, { maxClaims: 1 })
  api.fault({ kind: 'status' })
  claims.start()
  await until(() => lines.length === 1)
  test.match(lines[0], { level: 'warn', failure: 'list', err: { message: 'API server answered 503' } })
  test.match(await scrape(), 'quay_proxy_image_streams_restarts_total{reason="list"} 1')
  imageStreams.put({ ...ocp, tags: { base: [a, b] } })
  api.fault({ kind: 'none' })
  await until(() => claims.notReady().length === 0)
  test.match(lines[1], { level: 'error', notIndexed: 1, msg: /digest index full/ })
  test.match(await scrape(), 'quay_proxy_digests_not_indexed 1\n')
  imageStreams.put({ ...ocp, tags: { base: [a] } })
  await until(() => lines.length === 4)
  test.match(lines[3], { level: 'info', notIndexed: 0, msg: /indexed again/ })
})
