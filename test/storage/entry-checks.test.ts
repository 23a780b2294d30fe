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

interface Asked {
  readonly hasUpstream?: boolean
  readonly signal?: AbortSignal
}

/** A store with an entry of an earlier run of the program. */
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
  const checks = new EntryChecks({ store: storage.blobs, ...options })
  const found = async (requester: string, { hasUpstream = true, signal }: Asked = {}) => {
    const file = await checks.find({ digest, requester, signal }, hasUpstream)
    if (typeof file !== 'object') return file
    await file.close()
    return 'verified'
  }
  return { path, told, isVerified, found }
}

await t.test('the whole entry is read, once for all waiting readers', async (test) => {
  let read = 0
  const disk: Partial<Disk> = {
    read: async (...args) => {
      const count = await systemDisk.read(...args)
      read += count
      return count
    },
  }
  const { found, isVerified, told } = await storeFor(test, { disk })
  test.equal(await isVerified(), false)
  const both = await Promise.all(['alice', 'bob'].map(async (requester) => await found(requester)))
  test.strictSame(both, ['verified', 'verified'])
  test.equal(await isVerified(), true)
  test.equal(read, content.length)
  test.strictSame(told, [])
})

await t.test('an entry that is wrong, unreadable or gone', async (test) => {
  const wrong = await storeFor(test, { bytes: Buffer.alloc(content.length) })
  test.equal(await wrong.found('alice'), undefined)
  test.strictSame(wrong.told, ['digest'])
  const unreadable = await storeFor(test, { disk: { read: failing('EIO') } })
  test.equal(await unreadable.found('alice'), undefined)
  test.strictSame(unreadable.told, ['unreadable'])
  const gone = await storeFor(test)
  rmSync(gone.path)
  test.equal(await gone.found('alice'), undefined)
})

await t.test('a client does not wait for long, and the check continues', async (test) => {
  const slow = Promise.withResolvers<void>()
  const disk: Partial<Disk> = {
    read: async (...args) => {
      await slow.promise
      return await systemDisk.read(...args)
    },
  }
  const { found } = await storeFor(test, { disk, maxWaitMs: 1 })
  test.equal(await found('alice'), 'unverified')
  const gone = new AbortController()
  const left = found('bob', { hasUpstream: false, signal: gone.signal })
  const patient = found('carol', { hasUpstream: false })
  gone.abort()
  test.equal(await left, 'unverified', 'a client that leaves waits no longer')
  slow.resolve()
  test.equal(await patient, 'verified')
})

await t.test('attack: one requester does not have all checks', async (test) => {
  const { found } = await storeFor(test, { maxChecks: 0 })
  test.equal(await found('mallory'), 'unverified')
})
