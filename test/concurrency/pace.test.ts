import t from 'tap'
import { Pace } from '../../src/concurrency/pace.ts'

await t.test(
  'a burst at once, then a steady rate; a request that would wait too long is refused',
  async (test) => {
    let now = 0
    const pace = new Pace({ burst: 3, everyMs: 100, maxWaitMs: 250, now: () => now })
    const next = (key: string, count: number) => Array.from({ length: count }, () => pace.next(key))
    test.strictSame(next('a', 7), [0, 0, 0, 100, 200, undefined, undefined])
    test.strictSame(next('b', 2), [0, 0], 'others are not in it')
    now += 200
    test.strictSame(next('a', 4), [100, 200, undefined, undefined])
    now += 10_000
    test.strictSame(next('a', 4), [0, 0, 0, 100], 'no more than the burst')
  },
)

await t.test('by the clock of the process unless another one is given', async (test) => {
  const pace = new Pace({ burst: 1, everyMs: 60_000, maxWaitMs: 0 })
  test.strictSame([pace.next('a'), pace.next('a')], [0, undefined])
})
