import t from 'tap'
import { createTokenBucket, partOf } from '../../src/concurrency/token-bucket.ts'

const bucketOf = (perSecond: number, burst: number) => {
  const clock = { now: 5000 }
  const bucket = createTokenBucket({ perSecond, burst }, () => clock.now)
  const takeAll = () => {
    let taken = 0
    while (bucket.take()) taken++
    return taken
  }
  return { clock, bucket, takeAll }
}

await t.test('the burst at once, then the rate, and never more than the burst', async (test) => {
  const { clock, bucket, takeAll } = bucketOf(10, 3)
  test.equal(bucket.opensInMs(), 0)
  test.equal(takeAll(), 3)
  test.equal(bucket.opensInMs(), 100)
  clock.now += 99
  test.equal(takeAll(), 0)
  test.equal(bucket.opensInMs(), 1)
  clock.now += 1
  test.equal(takeAll(), 1)
  clock.now += 250
  test.equal(takeAll(), 2)
  clock.now += 50
  test.equal(takeAll(), 1, 'the half of one is not lost')
  clock.now += 3_600_000
  test.equal(takeAll(), 3)
})

await t.test('the long-term rate is exact, however often a token is taken', async (test) => {
  const { clock, takeAll } = bucketOf(4.5, 1)
  let taken = 0
  for (const end = clock.now + 60_000; clock.now < end; clock.now += 7) taken += takeAll()
  test.ok(taken <= 4.5 * 60 + 1, String(taken))
  test.ok(taken >= 4.5 * 60 - 10, String(taken))
})

await t.test(
  'after a drain there is one token when the time is over, and others follow at the rate',
  async (test) => {
    const { clock, bucket, takeAll } = bucketOf(10, 3)
    test.equal(bucket.take(), true)
    bucket.drain(1000)
    test.equal(bucket.opensInMs(), 1000)
    clock.now += 999
    test.equal(takeAll(), 0)
    clock.now += 1
    test.equal(takeAll(), 1)
    clock.now += 100
    test.equal(takeAll(), 1)
  },
)

await t.test('equal parts of a rate have a burst of at least one', async (test) => {
  for (let parts = 1; parts <= 60; parts++) {
    const { perSecond, burst } = partOf({ perSecond: 50, burst: 12 }, parts)
    test.equal(perSecond, 50 / parts)
    test.equal(burst, Math.max(1, Math.floor(12 / parts)))
  }
})
