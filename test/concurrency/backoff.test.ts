import t from 'tap'
import { backoffMs, jittered, pause } from '../../src/concurrency/backoff.ts'

await t.test('the backoff doubles with each failure, up to the longest', async (test) => {
  const all = [0, 1, 2, 3, 60].map((failures) =>
    backoffMs(failures, { firstMs: 100, longestMs: 500 }, () => 0.999_999),
  )
  test.strictSame(all.map(Math.round), [100, 200, 400, 500, 500])
})

await t.test('jitter is between half and all of it', async (test) => {
  test.equal(
    jittered(100, () => 0),
    50,
  )
  for (let index = 0; index < 100; index++) {
    for (const ms of [jittered(100), backoffMs(1, { firstMs: 50, longestMs: 1000 })])
      test.ok(ms >= 50 && ms < 100)
  }
})

await t.test('a pause ends when its signal is aborted', async (test) => {
  await pause(1, undefined)
  const over = new AbortController()
  const waiting = pause(3_600_000, over.signal)
  over.abort()
  await waiting
  await pause(3_600_000, over.signal)
  test.pass('it never rejects')
})
