import { Histogram, Registry } from 'prom-client'
import t from 'tap'
import { closedFastCounterOn, fastCounterOn, fastTimerOn } from '../../src/telemetry/fast-counters.ts'

const linesOf = async (registry: Registry) =>
  (await registry.metrics()).split('\n').filter((line) => line.startsWith('quay_proxy_'))

await t.test('counts are passed to prom-client once, at a scrape', async (test) => {
  const registry = new Registry()
  const pulls = fastCounterOn(registry)('pulls_total', 'Pulls.', ['route', 'status'])
  test.strictSame(await linesOf(registry), [])
  const labels = { route: '/v2/', status: 200 }
  pulls.inc(labels)
  pulls.inc({ ...labels })
  pulls.inc({ ...labels, status: 404 }, 3)
  pulls.inc({ ...labels, route: 'none' })
  const first = [
    'quay_proxy_pulls_total{route="/v2/",status="200"} 2',
    'quay_proxy_pulls_total{route="/v2/",status="404"} 3',
    'quay_proxy_pulls_total{route="none",status="200"} 1',
  ]
  test.strictSame(await linesOf(registry), first)
  test.strictSame(await linesOf(registry), first, 'and not again at the next')
  pulls.inc(labels)
  test.strictSame((await linesOf(registry))[0], 'quay_proxy_pulls_total{route="/v2/",status="200"} 3')
})

await t.test('a timer is exposed like a histogram of prom-client', async (test) => {
  const [registry, expected] = [new Registry(), new Registry()]
  const buckets = [0.001, 0.5, 60]
  const timing = fastTimerOn(registry)('seconds', 'Time.', ['route'], buckets)
  const histogram = new Histogram({
    name: 'quay_proxy_seconds',
    help: 'Time.',
    labelNames: ['route'],
    buckets,
    registers: [expected],
  })
  test.equal(await registry.metrics(), await expected.metrics(), 'nothing yet')
  for (const [route, seconds] of [
    ['/v2/', 0],
    ['/v2/', 0.001],
    ['none', 0.0011],
    ['/v2/', 0.3],
    ['/v2/', 60],
    ['/v2/', 61],
    ['none', 0.7],
  ] as const) {
    timing.observe({ route }, seconds)
    histogram.observe({ route }, seconds)
  }
  const shown = await registry.metrics()
  test.match(shown, 'quay_proxy_seconds_bucket{le="0.001",route="/v2/"} 2')
  test.match(shown, 'quay_proxy_seconds_bucket{le="+Inf",route="/v2/"} 5')
  test.equal(shown, await expected.metrics())
  test.equal(await registry.metrics(), shown, 'and the same at the next scrape')
})

await t.test('a closed counter starts at 0 for every possible combination of labels', async (test) => {
  const registry = new Registry()
  const values = { kind: ['a', 'b'], reason: ['x', 'y'] } as const
  closedFastCounterOn(registry)('all_total', 'All.', { kind: ['a'] })
  const counter = closedFastCounterOn(registry)(
    'things_total',
    'Things.',
    values,
    ({ kind, reason }) => kind === 'a' || reason === 'x',
  )
  counter.inc({ kind: 'a', reason: 'x' })
  test.strictSame(await linesOf(registry), [
    'quay_proxy_all_total{kind="a"} 0',
    'quay_proxy_things_total{kind="a",reason="x"} 1',
    'quay_proxy_things_total{kind="a",reason="y"} 0',
    'quay_proxy_things_total{kind="b",reason="x"} 0',
  ])
})
