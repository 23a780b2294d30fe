import t from 'tap'
import { LeastRecentlyUsed } from '../../src/concurrency/least-recently-used.ts'

await t.test(
  'generated: the oldest key is that of a plain list, whatever is used and removed',
  async (test) => {
    let seed = 7
    const dice = (sides: number) => (seed = (seed * 48_271) % 2_147_483_647) % sides
    const order = new LeastRecentlyUsed()
    let list: string[] = []
    test.strictSame([order.oldest, order.size], [undefined, 0])
    for (let step = 0; step < 2000; step++) {
      const key = `k${dice(12)}`
      list = list.filter((one) => one !== key)
      if (dice(3) === 0) order.remove(key)
      else {
        order.use(key)
        list.push(key)
      }
      if (order.oldest !== list[0] || order.size !== list.length) test.fail(`step ${step}`)
    }
    for (; list.length > 0; list.shift()) {
      test.equal(order.oldest, list[0])
      order.remove(list[0] as string)
    }
    test.strictSame([order.oldest, order.size], [undefined, 0])
  },
)
