import t from 'tap'
import { LeasedBucket, leaseCommand } from '../../src/shared-state/rate-leases.ts'
import type { Rate } from '../../src/concurrency/token-bucket.ts'

const turn = async () => await new Promise(setImmediate)

/** One bucket of a store, and replicas that lease from it. */
const setUp = (rate: Rate, replicas = 1, counted = replicas) => {
  const clock = { now: 0 }
  const store = { isUp: true, isFull: false, asked: [] as (readonly [number, number, number])[] }
  const held = { level: rate.burst, at: 0 }
  const lease = async (wanted: number, spent: number, shutMs: number) => {
    store.asked.push([wanted, spent, shutMs])
    if (store.isFull) throw new Error('full')
    const perMs = rate.perSecond / 1000
    const level = Math.min(rate.burst, held.level + (clock.now - held.at) * perMs)
    held.level = Math.max(level - spent, Math.min(level, -rate.burst))
    held.at = clock.now
    if (shutMs > 0) held.level = 1 - shutMs * perMs
    const granted = Math.max(0, Math.min(wanted, Math.floor(held.level + 1e-9)))
    held.level -= granted
    return [granted, Math.max(0, Math.ceil((1 - held.level) / perMs))]
  }
  const buckets = Array.from(
    { length: replicas },
    () =>
      new LeasedBucket({
        rate,
        lease,
        isUp: () => store.isUp,
        replicas: () => counted,
        now: () => clock.now,
      }),
  )
  return { clock, store, buckets, bucket: buckets[0]! }
}

/** Takes whatever there is, every 5 ms. @returns how many were taken, and the most by which the rate was exceeded */
const hunger = async ({ clock, buckets }: ReturnType<typeof setUp>, rate: Rate, ms: number) => {
  let taken = 0
  let worst = -Infinity
  const from = clock.now
  for (; clock.now < from + ms; clock.now += 5) {
    for (const bucket of buckets) while (bucket.take()) taken += 1
    worst = Math.max(worst, taken - rate.burst - (rate.perSecond * (clock.now - from)) / 1000)
    await turn()
  }
  return { taken, worst }
}

await t.test('any number of replicas stays within the rate, and uses most of it', async (test) => {
  for (const replicas of [1, 2, 3, 10])
    for (const rate of [
      { perSecond: 45, burst: 9 },
      { perSecond: 4.5, burst: 1 },
      { perSecond: 500, burst: 50 },
    ]) {
      const { taken, worst } = await hunger(setUp(rate, replicas), rate, 10_000)
      const most = rate.burst + rate.perSecond * 10
      test.ok(worst <= 1e-6, `${replicas} at ${rate.perSecond}: ${worst}`)
      test.ok(taken > most * 0.8, `${replicas} at ${rate.perSecond}: ${taken} of ${most}`)
    }
})

await t.test('leased tokens need no command, and unspent ones lapse', async (test) => {
  const { clock, store, bucket } = setUp({ perSecond: 40, burst: 40 })
  test.notOk(bucket.take(), 'none is there before it was leased')
  test.equal(bucket.opensInMs(), 5)
  await turn()
  test.same(store.asked, [[1, 0, 0]])
  test.equal(bucket.opensInMs(), 0)
  test.ok(bucket.take())
  await turn()
  test.equal(store.asked.length, 2, 'more is asked for before they run out')
  clock.now += 1000
  test.notOk(bucket.take())
  await turn()
  test.ok(bucket.take())
  clock.now += 60_000
  await turn()
  const asked = store.asked.length
  for (let count = 0; count < 10; count += 1) {
    clock.now += 1000
    await turn()
  }
  test.equal(store.asked.length, asked, 'nobody asks while nobody takes')
})

await t.test('without a token, the store says when there is one', async (test) => {
  const { clock, store, bucket } = setUp({ perSecond: 2, burst: 1 })
  bucket.take()
  await turn()
  test.ok(bucket.take())
  test.equal(bucket.opensInMs(), 500)
  test.notOk(bucket.take())
  await turn()
  test.equal(store.asked.length, 1, 'it is not asked before')
  clock.now += 500
  test.equal(bucket.opensInMs(), 5)
  await turn()
  test.equal(bucket.opensInMs(), 0)
})

await t.test('a pause applies to all replicas', async (test) => {
  const { clock, store, buckets } = setUp({ perSecond: 10, burst: 10 }, 2)
  const [first, second] = buckets as [LeasedBucket, LeasedBucket]
  first.take()
  await turn()
  first.drain(3000)
  await turn()
  test.same(store.asked.at(-1), [0, 0, 3000])
  test.notOk(first.take())
  test.equal(first.opensInMs(), 3000)
  second.take()
  await turn()
  test.notOk(second.take())
  test.equal(second.opensInMs(), 3000)
  clock.now += 3000
  first.take()
  await turn()
  test.ok(first.take())
})

await t.test(
  'unavailable: each replica has a share, which starts empty; the store is told what it spent',
  async (test) => {
    const rate = { perSecond: 30, burst: 9 }
    const setting = setUp(rate, 3)
    setting.store.isUp = false
    test.equal(setting.bucket.opensInMs(), 100)
    const { taken, worst } = await hunger(setting, rate, 10_000)
    test.ok(worst <= 0)
    test.ok(taken >= 290 && taken <= 300, String(taken))
    test.equal(setting.store.asked.length, 0)
    setting.store.isUp = true
    setting.bucket.take()
    await turn()
    const [, spent] = setting.store.asked[0]!
    test.ok(spent >= 95)
    test.ok(setting.bucket.opensInMs() > 100, 'the debt is waited for')
  },
)

await t.test(
  'with a store that takes no writes, the share is used, and a lease is tried once a second',
  async (test) => {
    const rate = { perSecond: 1, burst: 1 }
    const setting = setUp(rate, 2)
    setting.store.isFull = true
    const { taken } = await hunger(setting, rate, 20_000)
    test.ok(taken >= 18 && taken <= 21, String(taken))
    test.ok(setting.store.asked.length <= 2 * 21, String(setting.store.asked.length))
    setting.store.isFull = false
    setting.clock.now += 10_000
    for (const bucket of setting.buckets) bucket.take()
    await turn()
    const after = await hunger(setting, rate, 20_000)
    test.ok(after.taken >= 10 && after.taken <= 21, String(after.taken))
  },
)

await t.test('a pause while the store is unavailable', async (test) => {
  const { clock, store, bucket } = setUp({ perSecond: 10, burst: 1 }, 1, 2)
  store.isUp = false
  bucket.drain(2000)
  test.equal(store.asked.length, 0)
  test.notOk(bucket.take())
  test.equal(bucket.opensInMs(), 2000)
  clock.now += 2000
  test.ok(bucket.take())
})

await t.test('the command for a lease', async (test) => {
  test.same(leaseCommand('tags', { perSecond: 4.5, burst: 1 }, 3, 2, 0).slice(2), [
    '1',
    'quay-proxy:1:rate:tags',
    '4.5',
    '1',
    '3',
    '2',
    '0',
  ])
})
