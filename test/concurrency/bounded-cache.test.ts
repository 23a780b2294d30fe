import t from 'tap'
import { createBoundedCache } from '../../src/concurrency/bounded-cache.ts'

await t.test('the least recently used entry is evicted, and only evictions are reported', async (test) => {
  let evictions = 0
  const cache = createBoundedCache<string, number>(2, { onEvicted: () => evictions++ })
  cache.set('a', 1)
  cache.set('b', 2)
  cache.set('b', 3)
  test.equal(cache.get('a'), 1)
  cache.delete('b')
  test.equal(evictions, 0, 'a replaced or deleted entry is not evicted')
  cache.set('c', 4)
  cache.set('d', 5)
  test.strictSame([...cache.keys()], ['d', 'c'])
  test.equal(evictions, 1)
})

await t.test('an entry lives for the given time, by the given clock', async (test) => {
  let time = 1
  const cache = createBoundedCache<string, number>(10, { ttlMs: 100, now: () => time })
  cache.set('a', 1)
  time = 101
  test.equal(cache.get('a'), 1)
  time = 102
  test.equal(cache.get('a'), undefined)
})

await t.test('without a clock of its own, time is that of the process', async (test) => {
  const [endless, brief] = [
    createBoundedCache<string, number>(10),
    createBoundedCache<string, number>(10, { ttlMs: 60_000 }),
  ]
  for (const cache of [endless, brief]) {
    cache.set('a', 1)
    test.equal(cache.get('a'), 1)
  }
})
