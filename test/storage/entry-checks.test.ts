import { rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { entryPath } from '../../src/storage/cache-directory.ts'
import type { Disk } from '../../src/storage/disk.ts'
import { systemDisk } from '../../src/storage/disk.ts'
import { EntryChecks, type EntryChecksOptions } from '../../src/storage/entry-checks.ts'
import { openStorage } from '../../src/storage/storage.ts'
import { bytesOf, digestOf, diskWith, failing, freshDirectory } from './fixtures.ts'

const content = bytesOf(600_000)
const digest = digestOf(content)

interface SetUp extends Omit<EntryChecksOptions, 'store'> {
  readonly bytes?: Buffer
  readonly disk?: Partial<Disk>
}

/** A store whose entry is of an earlier life. */
const storeFor = async (test: Test, { bytes = content, disk = {}, ...options }: SetUp = {}) => {
  const directory = freshDirectory(test)
  const told: string[] = []
  const open = (calls: Partial<Disk>) =>
    openStorage({
      directory,
      maxBytes: 100_000_000,
      observe: {
        fillEnded: () => undefined,
        evicted: () => undefined,
        corrupt: (_kind, why) => void told.push(why),
        warning: () => undefined,
      },
      disk: diskWith(calls),
    })
  const first = open({})
  const fill = await first.blobs.begin(digest, content.length, 'alice')
  fill?.add(content, () => undefined)
  await fill?.complete()
  await first.close()
  const path = entryPath(directory, 'blobs', { digest, size: content.length })
  writeFileSync(path, bytes)
  const storage = open(disk)
  test.teardown(async () => await storage.close())
  const isVerified = async () => {
    const file = await storage.blobs.find(digest, 'bob')
    await file?.close()
    return file?.isVerified
  }
  return { path, told, isVerified, checks: new EntryChecks({ store: storage.blobs, ...options }) }
}

await t.test('the whole entry is read, once for all who wait', async (test) => {
  let read = 0
  const disk: Partial<Disk> = {
    read: async (...args) => {
      const count = await systemDisk.read(...args)
      read += count
      return count
    },
  }
  const { checks, isVerified, told } = await storeFor(test, { disk })
  test.equal(await isVerified(), false)
  await Promise.all(['alice', 'bob'].map(async (requester) => await checks.check(digest, requester)))
  test.equal(await isVerified(), true)
  test.equal(read, content.length)
  test.strictSame(told, [])
})

await t.test('an entry that is wrong, unreadable or gone', async (test) => {
  const wrong = await storeFor(test, { bytes: Buffer.alloc(content.length) })
  await wrong.checks.check(digest, 'alice')
  test.equal(await wrong.isVerified(), undefined)
  test.strictSame(wrong.told, ['digest'])
  const unreadable = await storeFor(test, { disk: { read: failing('EIO') } })
  await unreadable.checks.check(digest, 'alice')
  test.strictSame(unreadable.told, ['unreadable'])
  const gone = await storeFor(test)
  rmSync(gone.path)
  await gone.checks.check(digest, 'alice')
  test.equal(await gone.isVerified(), undefined)
})

await t.test('a client does not wait for long, and the check goes on', async (test) => {
  const slow = Promise.withResolvers<void>()
  const disk: Partial<Disk> = {
    read: async (...args) => {
      await slow.promise
      return await systemDisk.read(...args)
    },
  }
  const { checks, isVerified } = await storeFor(test, { disk, maxWaitMs: 1 })
  await checks.check(digest, 'alice')
  test.equal(await isVerified(), false)
  slow.resolve()
  while ((await isVerified()) === false) await checks.check(digest, 'alice')
  test.equal(await isVerified(), true)
})

await t.test('attack: one requester does not have all checks', async (test) => {
  const { isVerified, checks } = await storeFor(test, { maxChecks: 0 })
  await checks.check(digest, 'mallory')
  test.equal(await isVerified(), false, 'served as it is')
})
