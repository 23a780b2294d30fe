import t from 'tap'
import { createBufferPool } from '../../../src/upstream/http1/buffer-pool.ts'

const limits = { smallBytes: 8, largeBytes: 32, maxKept: { small: 1, large: 1 }, maxLarge: 1 }

await t.test('a slab is used again when its last holder releases it', (test) => {
  const { take, release } = createBufferPool(limits)
  for (const isLarge of [false, true]) {
    const first = take(isLarge)
    test.equal(first.memory.length, isLarge ? 32 : 8)
    first.holders++
    release(first)
    test.not(take(isLarge).memory, first.memory)
    release(first)
    test.equal(take(isLarge).memory, first.memory)
    test.not(take(isLarge).memory, first.memory)
  }
  test.end()
})

await t.test('no more slabs are kept than the limit', (test) => {
  const { take, release } = createBufferPool(limits)
  const [first, second] = [take(false), take(false)]
  release(first)
  release(second)
  test.equal(take(false).memory, first.memory)
  test.not(take(false).memory, second.memory)
  test.end()
})

await t.test('attack: a slab that a socket still writes into is never used again', (test) => {
  const { take, release } = createBufferPool(limits)
  const slab = take(false)
  slab.isSpoilt = true
  release(slab)
  test.not(take(false).memory, slab.memory)
  test.end()
})

await t.test('few bodies read into large slabs at a time', (test) => {
  const { enlarge, reduce, take } = createBufferPool(limits)
  test.same([enlarge(), enlarge()], [true, false])
  reduce()
  test.same([enlarge(), enlarge()], [true, false])
  test.equal(createBufferPool().take(false).memory.length, 32 * 1024)
  test.equal(take(true).memory.length, 32)
  test.end()
})
