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
    now: () => 0,
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

await t.test('upstream does not wait for the disk while there is room in a block', async (test) => {
  const { behind, writes, released, add, endWrite, lengths } = setUp()
  let isSettled = false
  add(0, 10_000)
  add(10_000, 60_000)
  test.strictSame(lengths(), [], 'a write is worth a block')
  add(60_000, 80_000)
  test.strictSame(lengths(), [65_536])
  test.strictSame(released, [10_000, 60_000, 80_000])
  void behind.flush().then(() => (isSettled = true))
  await endWrite(0)
  test.strictSame(lengths(), [65_536, 14_464])
  test.notOk(isSettled)
  await endWrite(1)
  test.ok(isSettled)
  test.ok(Buffer.concat(writes.map(({ bytes }) => bytes)).equals(content.subarray(0, 80_000)))
  test.strictSame(
    writes.map(({ position }) => position),
    [0, 65_536],
  )
  await behind.flush()
  test.equal(writes.length, 2, 'nothing is left')
})

await t.test(
  'upstream waits while a block is full, and its blocks get large if it is quick',
  async (test) => {
    for (const [pace, expected] of [
      [16 * 1024, [65_536, 1_048_576, 85_888]],
      [16_000, [65_536, 65_536, 1_048_576]],
    ] as const) {
      let time = 0
      const { behind, released, add, endWrite, lengths } = setUp({ now: () => time })
      add(0, 60_000)
      time += 65_536 / pace
      add(60_000, 70_000)
      test.notOk(behind.isHolding)
      add(70_000, 1_200_000)
      test.ok(behind.isHolding)
      test.strictSame(released, [60_000, 70_000], `${pace} bytes a millisecond`)
      const flushed = behind.flush()
      for (let index = 0; index < lengths().length; index++) await endWrite(index)
      await flushed
      test.strictSame(released, [60_000, 70_000, 1_200_000])
      test.strictSame(lengths().slice(0, 3), expected)
    }
  },
)

await t.test('readers get the last blocks without the disk', async (test) => {
  const { behind, add, endWrite } = setUp({ blockBytes: 1000 })
  const into = Buffer.alloc(2500)
  test.equal(behind.read(into, 0), 0)
  add(0, 5900)
  test.equal(behind.read(into, 1500), 2500, 'which the disk has not got')
  test.ok(into.equals(content.subarray(1500, 4000)))
  for (const index of [0, 1, 2, 3]) await endWrite(index)
  test.equal(behind.read(into, 2999), 0, 'it is on the disk alone')
  test.equal(behind.read(into, 3000), 2500, 'from one block to the next')
  test.ok(into.equals(content.subarray(3000, 5500)))
  test.equal(behind.read(into, 5800), 100)
  test.equal(behind.read(into, 5900), 0)
  test.ok(into.subarray(0, 100).equals(content.subarray(5800, 5900)))
})

await t.test('a write that fails ends it: upstream does not wait any more', async (test) => {
  const { behind, writes, released, add, endWrite } = setUp({ blockBytes: 1000 })
  add(0, 500)
  add(500, 3200)
  await endWrite(0, false)
  test.strictSame(released, [500, 3200])
  test.equal(writes.length, 1)
  await behind.flush()
  add(3200, 3300)
  test.strictSame(released, [500, 3200, 3300])
  test.equal(behind.read(Buffer.alloc(1), 0), 0)
  behind.end()
})

await t.test('attack: memory that a write may still read is not used again', async (test) => {
  let time = 0
  const { behind, buffers, writes, add, endWrite } = setUp({ blockBytes: 500, now: () => (time += 10) })
  add(0, 500)
  await endWrite(0)
  add(500, 1000)
  add(1000, 1200)
  behind.end()
  const again = [1, 2, 3].map(() => buffers.take(false).buffer)
  test.ok(again.includes(writes[0]!.bytes.buffer))
  test.notOk(again.includes(writes[1]!.bytes.buffer))
  await endWrite(1)
  test.equal(writes.length, 2)
})
