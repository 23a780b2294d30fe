import t from 'tap'
import { RefusalPace } from '../../src/server/refusal-pace.ts'

await t.test('repeated refusals of one requester are late, those of others are not', async (test) => {
  let now = 0
  const pace = new RefusalPace({ burst: 3, perSecond: 10, delayMs: 1000, now: () => now })
  const delays = (requester: string, count: number, status = 403) =>
    Array.from({ length: count }, () => pace.delayOf(requester, status))
  test.strictSame(delays('mallory', 5), [0, 0, 0, 1000, 1000])
  test.strictSame(delays('alice', 3), [0, 0, 0])
  for (const status of [200, 206, 304, 400, 404, 500, 503, 504])
    test.equal(pace.delayOf('mallory', status), 0)
  for (const status of [401, 403, 429]) test.equal(pace.delayOf('mallory', status), 1000)
  now += 200
  test.strictSame(delays('mallory', 3), [0, 0, 1000], 'at the rate')
  now += 60_000
  test.strictSame(delays('mallory', 4), [0, 0, 0, 1000], 'no more than the burst')
})

await t.test('the refusal of one pull is not late', async (test) => {
  const pace = new RefusalPace()
  for (let request = 0; request < 500; request++) test.equal(pace.delayOf('somebody', 403), 0)
})
