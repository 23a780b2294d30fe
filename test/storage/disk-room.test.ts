import t from 'tap'
import { DiskQueue } from '../../src/storage/disk-queue.ts'
import { makeRoom } from '../../src/storage/disk-room.ts'
import { staying } from '../concurrency/fake-clock.ts'

const spare = 64 * 1024 * 1024

await t.test('entries go as far as a file needs it, and only if they are enough', async (test) => {
  staying(test)
  for (const [free, bytes, expected] of [
    [spare + 10, 100, []],
    [spare + 9, 100, [1]],
    [spare - 90, 100, [100]],
    [spare - 91, 100, 'ENOSPC'],
    [0, 0, 'ENOSPC'],
  ] as const) {
    const evicted: number[] = []
    const index = { bytes, evict: (missing: number) => evicted.push(missing) }
    const disk = { freeBytes: async () => await Promise.resolve(free) }
    const made = makeRoom({ root: '/', disk, queue: new DiskQueue() }, index, 10, 'alice')
    if (expected === 'ENOSPC') {
      await test.rejects(made, { code: 'ENOSPC' })
      test.strictSame(evicted, [])
    } else {
      await made
      test.strictSame(evicted, expected)
    }
  }
})
