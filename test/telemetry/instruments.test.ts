import t from 'tap'
import { Registry } from 'prom-client'
import { counterOn, gaugeOn } from '../../src/telemetry/instruments.ts'

await t.test('below one prefix, and read at every scrape', async (test) => {
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
