import t from 'tap'
import { createPace } from '../../../src/quay/stream/pace.ts'
import { createSlabs } from '../../../src/quay/stream/slabs.ts'

await t.test('large for a client that keeps up, small again for a slow one', (test) => {
  const slabs = createSlabs({ smallBytes: 1, largeBytes: 2, maxKept: { small: 0, large: 0 }, maxLarge: 1 })
  const [one, other] = [createPace(slabs), createPace(slabs)]
  for (let piece = 0; piece < 31; piece++) one.written(0)
  test.notOk(one.isLarge())
  one.written(9)
  test.ok(one.isLarge())
  one.written(0)
  for (let piece = 0; piece < 40; piece++) other.written(0)
  test.notOk(other.isLarge(), 'no more than the limit')
  one.written(10)
  test.notOk(one.isLarge())
  other.written(0)
  test.ok(other.isLarge())
  other.end()
  other.end()
  one.end()
  test.same([slabs.enlarge(), slabs.enlarge()], [true, false], 'nothing is owed, nothing is given back twice')
  test.end()
})
