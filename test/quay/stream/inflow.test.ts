import t from 'tap'
import { createInflow } from '../../../src/quay/stream/inflow.ts'
import { createSlabs } from '../../../src/quay/stream/slabs.ts'

const slabsOf = () =>
  createSlabs({ smallBytes: 32_768, largeBytes: 65_536, maxKept: { small: 9, large: 9 }, maxLarge: 1 })

await t.test('a slab is handed over when there is no room for one more record, and changed then', (test) => {
  const slabs = slabsOf()
  let isLarge = false
  const inflow = createInflow(slabs, () => isLarge)
  test.ok(inflow.isEmpty())
  test.equal(inflow.copied(Buffer.from('abc')), false)
  const first = inflow.room()
  test.equal(first.length, 32_765)
  test.equal(inflow.filled(16_000), false)
  isLarge = true
  test.equal(inflow.filled(1000), true)
  test.equal(inflow.room().length, 65_536)
  test.notOk(inflow.isEmpty())
  const stretch = inflow.next()
  test.equal(stretch?.bytes.length, 17_003)
  test.equal(stretch?.bytes.toString('latin1', 0, 3), 'abc')
  test.equal(stretch?.bytes.buffer, first.buffer)
  test.equal(stretch?.slab.holders, 1)
  test.equal(inflow.next(), undefined)
  test.end()
})

await t.test('what is read in part can be handed over, and the rest of the slab goes on', (test) => {
  const inflow = createInflow(slabsOf(), () => false)
  inflow.filled(5)
  const [one, none] = [inflow.next(), inflow.next()]
  test.same([one?.bytes.length, none], [5, undefined])
  inflow.filled(7)
  const two = inflow.next()
  test.same([two?.bytes.byteOffset, two?.bytes.length, two?.slab.holders], [5, 7, 3])
  test.end()
})

await t.test('the end leaves what was read, dropping does not', (test) => {
  const slabs = slabsOf()
  const inflow = createInflow(slabs, () => false)
  const memory = inflow.room().buffer
  inflow.filled(5)
  inflow.end(true)
  test.notOk(inflow.isEmpty())
  inflow.drop()
  test.ok(inflow.isEmpty())
  test.equal(slabs.take(false).memory.buffer, memory)
  test.end()
})

await t.test('attack: memory that may still be read into is not used again', (test) => {
  const slabs = slabsOf()
  const inflow = createInflow(slabs, () => false)
  const memory = inflow.room().buffer
  inflow.filled(5)
  inflow.drop()
  inflow.end(false)
  inflow.drop()
  test.not(slabs.take(false).memory.buffer, memory)
  test.end()
})
