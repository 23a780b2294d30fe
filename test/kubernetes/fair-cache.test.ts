import t from 'tap'
import { createFairCache } from '../../src/kubernetes/fair-cache.ts'

await t.test('a lookup is a use of the entry, and a peek is not', async (test) => {
  const cache = createFairCache<number>(2)
  test.strictSame([cache.get('a'), cache.peek('a'), cache.size()], [undefined, undefined, 0])
  cache.set('a', 1, 'alice')
  cache.set('b', 2, 'bob')
  test.equal(cache.get('a'), 1)
  test.equal(cache.peek('b'), 2)
  cache.set('c', 3, 'carol')
  test.strictSame([cache.peek('a'), cache.peek('b'), cache.peek('c'), cache.size()], [1, undefined, 3, 2])
  cache.delete('a')
  cache.delete('nothing')
  test.strictSame([cache.peek('a'), cache.size()], [undefined, 1])
})

await t.test('a key has one value and one owner', async (test) => {
  const cache = createFairCache<number>(10)
  cache.set('a', 1, 'alice')
  cache.set('a', 2, 'bob')
  test.strictSame([cache.get('a'), cache.size()], [2, 1])
})

await t.test('attack: an owner with more than its share evicts its own entries', async (test) => {
  const cache = createFairCache<number>(100)
  for (let index = 0; index < 20; index++) cache.set(`person ${index}`, index, `person ${index}`)
  for (let index = 0; index < 10_000; index++) cache.set(`mallory ${index}`, index, 'mallory')
  test.equal(cache.size(), 100)
  for (let index = 0; index < 20; index++) test.equal(cache.peek(`person ${index}`), index)
  test.equal(cache.peek('mallory 9999'), 9999)
  test.equal(cache.peek('mallory 0'), undefined)
  cache.set('newcomer', 1, 'newcomer')
  test.equal(cache.peek('newcomer'), 1, 'who comes with one finds room')
})

await t.test('attack: a hundred owners share the rest', async (test) => {
  const cache = createFairCache<number>(1000)
  for (let index = 0; index < 50; index++) cache.set(`p${index}`, index, `p${index}`)
  for (let round = 0; round < 100; round++)
    for (let name = 0; name < 50; name++) {
      for (let index = 0; index < 50; index++) cache.get(`p${index}`)
      cache.set(`${name} ${round}`, 0, `mallory ${name}`)
    }
  for (let index = 0; index < 50; index++) test.equal(cache.peek(`p${index}`), index)
})
