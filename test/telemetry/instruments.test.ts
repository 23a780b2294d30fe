import t from 'tap'
import { Registry } from 'prom-client'
import { closedCounterOn, combinationsOf, counterOn, gaugeOn } from '../../src/telemetry/instruments.ts'

await t.test('all instruments have our prefix; gauges are read at every scrape', async (test) => {
  const registry = new Registry()
  const counter = counterOn(registry)('things_total', 'Things.', ['kind'])
  counterOn(registry)('others_total', 'Others.').inc()
  let value = 1
  gaugeOn(registry)('level', 'A level.', () => value)
  counter.inc({ kind: 'a' })
  test.match(await registry.metrics(), /quay_proxy_things_total\{kind="a"\} 1/)
  test.match(await registry.metrics(), /quay_proxy_others_total 1/)
  test.match(await registry.metrics(), /quay_proxy_level 1/)
  value = 2
  test.match(await registry.metrics(), /quay_proxy_level 2/)
})

await t.test('every combination of label values', async (test) => {
  test.strictSame(combinationsOf({ a: ['1', '2'], b: ['x', 'y'] }), [
    { a: '1', b: 'x' },
    { a: '1', b: 'y' },
    { a: '2', b: 'x' },
    { a: '2', b: 'y' },
  ])
})

await t.test('a closed counter starts at 0 for every possible combination of labels', async (test) => {
  const registry = new Registry()
  const values = { kind: ['a', 'b'], reason: ['x', 'y'] } as const
  const counter = closedCounterOn(registry)('things_total', 'Things.', values)
  closedCounterOn(registry)(
    'others_total',
    'Others.',
    values,
    ({ kind, reason }) => kind === 'a' || reason === 'x',
  )
  counter.inc({ kind: 'a', reason: 'x' })
  counter.inc({ kind: 'a', reason: 'x' }, 2)
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('quay_proxy_'))
  test.strictSame(lines, [
    'quay_proxy_things_total{kind="a",reason="x"} 3',
    'quay_proxy_things_total{kind="a",reason="y"} 0',
    'quay_proxy_things_total{kind="b",reason="x"} 0',
    'quay_proxy_things_total{kind="b",reason="y"} 0',
    'quay_proxy_others_total{kind="a",reason="x"} 0',
    'quay_proxy_others_total{kind="a",reason="y"} 0',
    'quay_proxy_others_total{kind="b",reason="x"} 0',
  ])
})
