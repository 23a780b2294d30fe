import t from 'tap'
import { keyOf } from '../../src/digests/digest-key.ts'
import { KeyLists } from '../../src/digests/key-lists.ts'
import { digestOf } from './fixtures.ts'

const keyAt = (name: string | number) => keyOf(digestOf(String(name)))

await t.test('a list has each digest once, has the newest 32, and is removed by take', async (test) => {
  const lists = new KeyLists(10)
  test.strictSame(lists.get(keyAt('list')), [])
  for (let number = 0; number < 40; number++) {
    lists.add(keyAt('list'), keyAt(number))
    lists.add(keyAt('list'), keyAt(number))
  }
  const newest = Array.from({ length: 32 }, (_, index) => keyAt(index + 8))
  test.strictSame(lists.get(keyAt('list')), newest)
  test.strictSame(lists.take(keyAt('list')), newest)
  test.strictSame(lists.take(keyAt('list')), [])
})

await t.test('attack: many lists evict only the oldest list', async (test) => {
  const lists = new KeyLists(2)
  for (const name of ['a', 'b', 'c']) lists.add(keyAt(name), keyAt('x'))
  test.strictSame(
    ['a', 'b', 'c'].map((name) => lists.get(keyAt(name)).length),
    [0, 1, 1],
  )
})

await t.test('one digest is removed from a list', async (test) => {
  const [key, one, other] = ['key', 'one', 'other'].map((text) => keyOf(digestOf(text)))
  const lists = new KeyLists(10)
  lists.add(key!, one!)
  lists.add(key!, other!)
  lists.remove(key!, one!)
  lists.remove(key!, one!)
  lists.remove(one!, key!)
  test.strictSame(lists.get(key!), [other])
})
