import t from 'tap'
import { ReadBuffers } from '../../src/storage/read-buffers.ts'
import { WriteBehind, type WriteBehindOptions } from '../../src/storage/write-behind.ts'
import { settled } from '../concurrency/fake-clock.ts'
import { bytesOf } from './fixtures.ts'

const content = bytesOf(2_000_000)

/** Writes that end one by one. */
const setUp = (options: Partial<WriteBehindOptions> = {}) => {
  const writes: { readonly bytes: Buffer; readonly position: number; readonly end: (is: boolean) => void }[] =
    []
  const buffers = new ReadBuffers()
  const behind = new WriteBehind({
    buffers,
    write: async (bytes, position) => await new Promise((end) => void writes.push({ bytes, position, end })),
    ...options,
  })
  const released: number[] = []
  const add = (from: number, to: number) =>
    behind.add(content.subarray(from, to), () => void released.push(to))
  const endWrite = async (index: number, isWritten = true) => {
    writes[index]!.end(isWritten)
    await settled()
  }
  const lengths = () => writes.map(({ bytes }) => bytes.length)
  return { behind, buffers, writes, released, add, endWrite, lengths }
}

await t.test('a write takes all that has come since the last one', async (test) => {
  const { behind, writes, released, add, endWrite, lengths } = setUp()
  let isSettled = false
  add(0, 10_000)
  add(10_000, 20_000)
  add(20_000, 30_000)
  void behind.settled().then(() => (isSettled = true))
  test.strictSame(released, [10_000, 20_000, 30_000], 'upstream does not wait for the disk')
  test.strictSame(lengths(), [10_000])
  await endWrite(0)
  test.strictSame(lengths(), [10_000, 20_000])
  test.notOk(isSettled)
  await endWrite(1)
  test.ok(isSettled)
  test.ok(Buffer.concat(writes.map(({ bytes }) => bytes)).equals(content.subarray(0, 30_000)))
  test.strictSame(
    writes.map(({ position }) => position),
    [0, 10_000],
  )
})

await t.test('upstream waits while a block is full, and its blocks get large', async (test) => {
  const { behind, writes, released, add, endWrite, lengths } = setUp()
  add(0, 10_000)
  add(10_000, 80_000)
  test.strictSame(released, [10_000], 'a block of 64 KiB is full')
  await endWrite(0)
  test.strictSame(released, [10_000, 80_000])
  add(80_000, 1_200_000)
  test.strictSame(released, [10_000, 80_000], 'a block of 1 MiB is full')
  for (let index = 1; index < writes.length; index++) await endWrite(index)
  test.strictSame(released, [10_000, 80_000, 1_200_000])
  test.strictSame(lengths(), [10_000, 65_536, 1_048_576, 75_888])
  test.ok(Buffer.concat(writes.map(({ bytes }) => bytes)).equals(content.subarray(0, 1_200_000)))
  await behind.settled()
})

await t.test('readers get the last blocks without the disk', async (test) => {
  const { behind, add, endWrite } = setUp({ blockBytes: 1000 })
  const into = Buffer.alloc(2500)
  test.equal(behind.read(into, 0), 0)
  add(0, 5000)
  for (const index of [0, 1, 2, 3]) await endWrite(index)
  test.equal(behind.read(into, 1999), 0, 'it is on the disk alone')
  test.equal(behind.read(into, 2000), 2500, 'from one block to the next')
  test.ok(into.equals(content.subarray(2000, 4500)))
  test.equal(behind.read(into, 4900), 100)
  test.equal(behind.read(into, 5000), 0)
  test.ok(into.subarray(0, 100).equals(content.subarray(4900, 5000)))
})

await t.test('a write that fails ends it: upstream does not wait any more', async (test) => {
  const { behind, writes, released, add, endWrite } = setUp({ blockBytes: 1000 })
  add(0, 500)
  add(500, 3200)
  await endWrite(0, false)
  test.strictSame(released, [500, 3200])
  test.equal(writes.length, 1)
  await behind.settled()
  add(3200, 3300)
  test.strictSame(released, [500, 3200, 3300])
  test.equal(behind.read(Buffer.alloc(1), 0), 0)
  behind.end()
})

await t.test('attack: memory that a write may still read is not used again', async (test) => {
  const { behind, buffers, writes, add, endWrite } = setUp()
  add(0, 500)
  await endWrite(0)
  add(500, 1000)
  add(1000, 1500)
  behind.end()
  const again = [1, 2, 3].map(() => buffers.take(false).buffer)
  test.ok(again.includes(writes[0]!.bytes.buffer))
  test.notOk(again.includes(writes[1]!.bytes.buffer))
  await endWrite(1)
  test.equal(writes.length, 2)
})
