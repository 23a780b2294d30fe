import t from 'tap'
import { PartHealth } from '../../src/telemetry/part-states.ts'

await t.test('unknown, then works, and fails after three failures in a row', async (test) => {
  let now = Date.UTC(2026, 0, 1)
  const health = new PartHealth('quay.io', () => now)
  test.strictSame(health.state(), { name: 'quay.io', state: 'unknown' })
  health.note('answered')
  health.note('failed')
  now += 60_000
  health.note('failed')
  test.equal(health.state().state, 'works', 'single requests fail for reasons of their own')
  health.note('failed')
  test.strictSame(health.state(), {
    name: 'quay.io',
    state: 'fails',
    detail: 'since 2026-01-01T00:00:00Z',
  })
  health.note('answered')
  test.equal(health.state().state, 'works')
})

await t.test('a part that never worked fails at once', async (test) => {
  const health = new PartHealth('API server')
  health.note('failed')
  test.match(health.state(), { state: 'fails', detail: /^since 2/ })
})
