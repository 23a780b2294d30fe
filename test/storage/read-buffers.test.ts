import t from 'tap'
import { ReadBuffers } from '../../src/storage/read-buffers.ts'

await t.test('buffers are used again, of each size', async (test) => {
  const buffers = new ReadBuffers()
  for (const isLarge of [false, true]) {
    const first = buffers.take(isLarge)
    test.equal(first.length, isLarge ? 1024 * 1024 : 64 * 1024)
    test.not(buffers.take(isLarge), first)
    buffers.giveBack(first)
    test.equal(buffers.take(isLarge), first)
  }
})

await t.test('large ones are for few readers; those who leave make room', async (test) => {
  const buffers = new ReadBuffers()
  const large = Array.from({ length: 16 }, () => buffers.take(true))
  const medium = Array.from({ length: 64 }, () => buffers.take(true))
  test.ok(large.every(({ length }) => length === 1024 * 1024))
  test.ok(medium.every(({ length }) => length === 256 * 1024))
  const small = buffers.take(true)
  test.equal(small.length, 64 * 1024)
  buffers.abandon(small)
  test.equal(buffers.take(true).length, 64 * 1024)
  for (const taken of [medium, large]) {
    const { length } = taken[0]!
    buffers.abandon(taken.pop()!)
    const next = buffers.take(true)
    test.equal(next.length, length)
    buffers.giveBack(next)
    test.equal(buffers.take(true), next)
  }
})

await t.test('few of them stay while nobody needs them', async (test) => {
  const buffers = new ReadBuffers()
  const taken = Array.from({ length: 70 }, () => buffers.take(false))
  for (const buffer of taken) buffers.giveBack(buffer)
  const again = Array.from({ length: 70 }, () => buffers.take(false))
  test.equal(again.filter((buffer) => taken.includes(buffer)).length, 64)
})
