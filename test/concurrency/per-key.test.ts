import t from 'tap'
import { PerKey } from '../../src/concurrency/per-key.ts'

await t.test('each key has one value, until it is evicted', async (test) => {
  let made = 0
  const perKey = new PerKey(2, () => ({ number: made++ }))
  const numbers = (...keys: readonly string[]) => keys.map((key) => perKey.of(key).number)
  test.strictSame(numbers('a', 'b', 'a', 'b'), [0, 1, 0, 1])
  test.strictSame(numbers('a', 'c', 'a'), [0, 2, 0], 'the one that was seen longest ago goes')
  test.strictSame(numbers('b'), [3])
})
