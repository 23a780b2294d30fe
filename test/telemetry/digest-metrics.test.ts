import { Registry } from 'prom-client'
import t from 'tap'
import { createDigestMetrics, createWatchMetrics } from '../../src/telemetry/digest-metrics.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

await t.test('the metrics of watched ImageStreams are read at every scrape', async (test) => {
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

await t.test(
  'the size of the graph and the progress of the index; without an index it counts as complete',
  async (test) => {
    const rows = [
      [{}, [1, 1, 0]],
      [{ hasFollowedLive: false, hasFollowedAll: false, followed: 5 }, [0, 0, 5]],
      [{ hasFollowedLive: true, hasFollowedAll: false, followed: 6 }, [1, 0, 6]],
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
  },
)
