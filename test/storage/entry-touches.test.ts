import { statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemDisk, type Disk } from '../../src/storage/disk.ts'
import { EntryIndex } from '../../src/storage/entry-index.ts'
import { EntryTouches } from '../../src/storage/entry-touches.ts'
import { bytesOf, digestOf, freshDirectory } from './fixtures.ts'

const bytes = bytesOf(100)
const [digest, size] = [digestOf(bytes), bytes.length]

/** A file from 1970 that was compared with its digest. */
const setUp = (test: Test, disk: Partial<Disk> = {}) => {
  const path = join(freshDirectory(test), 'entry')
  writeFileSync(path, bytes)
  utimesSync(path, new Date(0), new Date(0))
  const index = new EntryIndex({ maxBytes: 1e6, onEvicted: () => undefined })
  index.verified(digest, size, 0)
  const operations: Promise<void>[] = []
  const touches = new EntryTouches({
    disk: { ...systemDisk, ...disk },
    index,
    pathOf: () => path,
    later: (operation) => void operations.push(operation().catch(() => undefined)),
  })
  return { path, index, touches, operations, now: () => statSync(path).mtimeMs }
}

await t.test('a verified entry is touched once, and is verified all the time', async (test) => {
  const seen: boolean[] = []
  const { touches, operations, index, now } = setUp(test, {
    touch: async (path) => {
      await systemDisk.touch(path)
      seen.push(touches.isVerified(digest, now()), index.isVerified(digest, now()))
    },
  })
  for (let round = 0; round < 3; round++) touches.touch(digest, size)
  test.equal(operations.length, 1)
  await operations[0]
  test.strictSame(seen, [true, false], 'the index alone would take the touch for a change')
  test.ok(now() > 0)
  test.ok(index.isVerified(digest, now()))
  test.ok(touches.isVerified(digest, now()))
  test.notOk(touches.isVerified(digest, now() + 1000))
})

await t.test('an entry that was compared just now is touched', async (test) => {
  const { touches, operations, index, now } = setUp(test)
  index.remove(digest)
  touches.verified(digest, size, 0)
  await operations[0]
  test.ok(now() > 0)
  test.ok(touches.isVerified(digest, now()))
})

const changes: Record<string, (path: string, index: EntryIndex) => void> = {
  'that somebody has changed': (path) => utimesSync(path, new Date(1000), new Date(1000)),
  'that was dropped': (_path, index) => index.remove(digest),
}
for (const [name, change] of Object.entries(changes))
  await t.test(`an entry ${name} does not become verified`, async (test) => {
    const { touches, path, operations, index, now } = setUp(test)
    change(path, index)
    touches.touch(digest, size)
    await operations[0]
    test.ok(now() > 1000)
    test.notOk(touches.isVerified(digest, now()))
  })

await t.test('an entry that is dropped during the touch does not come back', async (test) => {
  const { touches, operations, index, now } = setUp(test, {
    touch: async (path) => {
      await systemDisk.touch(path)
      index.remove(digest)
    },
  })
  touches.touch(digest, size)
  await operations[0]
  test.notOk(touches.isVerified(digest, now()))
  test.equal(index.sizeOf(digest), undefined)
})

await t.test('a disk that cannot touch it', async (test) => {
  const { touches, operations, now } = setUp(test, {
    touch: async () => await Promise.reject(new Error('EROFS')),
  })
  touches.touch(digest, size)
  await operations[0]
  test.ok(touches.isVerified(digest, now()), 'nothing has changed')
  test.notOk(touches.isVerified(digest, 1), 'and no other time counts')
})

await t.test(
  'a reader finds its file unchanged after a touch, also if the entry is evicted meanwhile',
  async (test) => {
    const { touches, operations, index, now, path } = setUp(test)
    test.ok(touches.isUnchanged(digest, 0, 0))
    touches.touch(digest, size)
    test.notOk(touches.isUnchanged(digest, 0, 1))
    await operations[0]
    index.remove(digest)
    test.ok(touches.isUnchanged(digest, 0, now()))
    utimesSync(path, new Date(5), new Date(5))
    test.notOk(touches.isUnchanged(digest, 0, now()))
  },
)

await t.test('an entry that is stored during the touch breaks no reader', async (test) => {
  const seen: boolean[] = []
  const { touches, operations, index, now } = setUp(test, {
    touch: async (path) => {
      index.verified(digest, size, 0)
      await systemDisk.touch(path)
      seen.push(touches.isUnchanged(digest, 0, now()), touches.isVerified(digest, now()))
    },
  })
  index.remove(digest)
  touches.touch(digest, size)
  await operations[0]
  test.strictSame(seen, [true, false], 'no time proves that bytes were compared')
  test.ok(touches.isUnchanged(digest, 0, now()))
  test.ok(touches.isVerified(digest, now()))
})
