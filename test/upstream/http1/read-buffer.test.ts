import t from 'tap'
import { ReadBuffer } from '../../../src/upstream/http1/read-buffer.ts'
import { createBufferPool } from '../../../src/upstream/http1/buffer-pool.ts'

const poolOf = () =>
  createBufferPool({ smallBytes: 32_768, largeBytes: 65_536, maxKept: { small: 9, large: 9 }, maxLarge: 1 })

await t.test('a slab is delivered and replaced when one more record does not fit', (test) => {
  const bufferPool = poolOf()
  const chunkSize = { isLarge: false }
  const readBuffer = new ReadBuffer(bufferPool, chunkSize)
  test.ok(readBuffer.isEmpty())
  test.equal(readBuffer.copied(Buffer.from('abc')), false)
  const first = readBuffer.room()
  test.equal(first.length, 32_765)
  test.equal(readBuffer.filled(16_000), false)
  chunkSize.isLarge = true
  test.equal(readBuffer.filled(1000), true)
  test.equal(readBuffer.room().length, 65_536)
  test.notOk(readBuffer.isEmpty())
  const stretch = readBuffer.next()
  test.equal(stretch?.bytes.length, 17_003)
  test.equal(stretch?.bytes.toString('latin1', 0, 3), 'abc')
  test.equal(stretch?.bytes.buffer, first.buffer)
  test.equal(stretch?.slab.holders, 1)
  test.equal(readBuffer.next(), undefined)
  test.end()
})

await t.test('a part of a slab can be delivered, and the rest is still read into', (test) => {
  const readBuffer = new ReadBuffer(poolOf(), { isLarge: false })
  readBuffer.filled(5)
  const [one, none] = [readBuffer.next(), readBuffer.next()]
  test.same([one?.bytes.length, none], [5, undefined])
  readBuffer.filled(7)
  const two = readBuffer.next()
  test.same([two?.bytes.byteOffset, two?.bytes.length, two?.slab.holders], [5, 7, 3])
  test.end()
})

await t.test('the end keeps undelivered bytes, a drop releases them', (test) => {
  const bufferPool = poolOf()
  const readBuffer = new ReadBuffer(bufferPool, { isLarge: false })
  const memory = readBuffer.room().buffer
  readBuffer.filled(5)
  readBuffer.end(true)
  test.notOk(readBuffer.isEmpty())
  readBuffer.drop()
  test.ok(readBuffer.isEmpty())
  test.equal(bufferPool.take(false).memory.buffer, memory)
  test.end()
})

await t.test('attack: a slab that a socket may still write into is not used again', (test) => {
  const bufferPool = poolOf()
  const readBuffer = new ReadBuffer(bufferPool, { isLarge: false })
  const memory = readBuffer.room().buffer
  readBuffer.filled(5)
  readBuffer.drop()
  readBuffer.end(false)
  readBuffer.drop()
  test.not(bufferPool.take(false).memory.buffer, memory)
  test.end()
})
