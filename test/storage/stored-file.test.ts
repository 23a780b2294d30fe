import { createHash } from 'node:crypto'
import { openSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemDisk, type Disk } from '../../src/storage/disk.ts'
import { DiskQueue } from '../../src/storage/disk-queue.ts'
import { WrongContent } from '../../src/storage/fill-outcome.ts'
import { StoredFile } from '../../src/storage/stored-file.ts'
import { bytesOf, digestOf, diskWith, failing, freshDirectory, hanging } from './fixtures.ts'

const content = bytesOf(100_000)

const fileFor = (test: Test, bytes: Buffer, disk: Partial<Disk> = {}, isVerified = false) => {
  const path = join(freshDirectory(test), 'entry')
  writeFileSync(path, bytes)
  const openedAt = statSync(path).mtimeMs
  const told: string[] = []
  const file = new StoredFile({
    digest: digestOf(content),
    size: content.length,
    fd: openSync(path, 'r'),
    requester: 'alice',
    disk: diskWith(disk),
    queue: new DiskQueue({ deadlineMs: disk.read === hanging ? 50 : 10_000 }),
    isVerified,
    isUnchanged: (mtimeMs) => mtimeMs === openedAt,
    onVerified: () => void told.push('verified'),
    onWrong: (why) => void told.push(why),
  })
  return { file, told, path }
}

const readAll = async (file: StoredFile, start = 0, end = file.size, most = 30_000): Promise<Buffer> => {
  const bytes = Buffer.alloc(end - start)
  for (let at = start; at < end;) {
    const count = Math.min(most, end - at)
    at += await file.read(bytes.subarray(at - start, at - start + count), at)
  }
  return bytes
}

await t.test('the first reader of the whole entry compares it with its digest', async (test) => {
  const { file, told } = fileFor(test, content)
  test.ok((await readAll(file)).equals(content))
  test.strictSame(told, ['verified'])
  await file.close()
})

await t.test('a file is closed once: its descriptor may be that of another file by then', async (test) => {
  const closed: number[] = []
  const { file } = fileFor(test, content, {
    close: async (fd) => {
      closed.push(fd)
      await systemDisk.close(fd)
    },
  })
  await Promise.all([file.close(), file.close()])
  await file.close()
  test.equal(closed.length, 1)
})

await t.test('wrong bytes: the last chunk is not handed over', async (test) => {
  const wrong = Buffer.from(content)
  wrong[7] = 255
  const { file, told } = fileFor(test, wrong)
  const received: number[] = []
  const read = async () => {
    for (let at = 0; ;) {
      at += await file.read(Buffer.alloc(30_000), at)
      received.push(at)
    }
  }
  await test.rejects(read(), WrongContent)
  test.strictSame(received, [30_000, 60_000, 90_000])
  test.strictSame(told, ['digest'])
})

await t.test('an entry that was compared before, and a part of one, are read as they are', async (test) => {
  const known = fileFor(test, content, {}, true)
  test.ok((await readAll(known.file)).equals(content))
  const part = fileFor(test, content)
  test.ok((await readAll(part.file, 10, 20_000)).equals(content.subarray(10, 20_000)))
  test.ok((await readAll(part.file)).equals(content))
  test.strictSame([...known.told, ...part.told], [])
})

await t.test('a file that is short, unreadable, or on a disk that hangs', async (test) => {
  const short = fileFor(test, content.subarray(0, 50_000))
  await test.rejects(readAll(short.file), { message: /shorter than its name says/ })
  test.strictSame(short.told, ['size'])
  const unreadable = fileFor(test, content, { read: failing('EIO'), close: failing('EIO') })
  await test.rejects(readAll(unreadable.file), { code: 'EIO' })
  test.strictSame(unreadable.told, ['unreadable'])
  await unreadable.file.close()
  const stuck = fileFor(test, content, { read: hanging })
  await test.rejects(readAll(stuck.file), { name: 'DiskTooSlow' })
  test.strictSame(stuck.told, [], 'the entry is right')
})

await t.test('a reader that changes to another source gets the hash of its bytes', async (test) => {
  const hexOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  const first = fileFor(test, content)
  await readAll(first.file, 0, 60_000)
  const carried = await first.file.prefix(60_000)
  test.equal(carried.at, 60_000)
  test.equal(carried.hash.digest('hex'), hexOf(content.subarray(0, 60_000)))
  test.ok((await readAll(first.file, 60_000)).length > 0)
  test.strictSame(first.told, ['verified'], 'the hash was a copy')

  const known = fileFor(test, content, {}, true)
  const again = await known.file.prefix(99_999)
  test.equal(again.hash.digest('hex'), hexOf(content.subarray(0, 99_999)), 'read once more')
  for (const [name, read] of [
    ['EIO', failing('EIO')],
    ['short', async () => await Promise.resolve(0)],
  ] as const) {
    const { at, hash } = await fileFor(test, content, { read }, true).file.prefix(10)
    test.equal(at, 0, name)
    test.equal(hash.digest('hex'), hexOf(Buffer.alloc(0)))
  }
})

await t.test('attack: a verified entry is changed while it is read', async (test) => {
  const { file, told, path } = fileFor(test, content, {}, true)
  await readAll(file, 0, 60_000)
  writeFileSync(path, Buffer.alloc(content.length))
  utimesSync(path, new Date(0), new Date(0))
  test.ok(await readAll(file, 60_000, 90_000))
  await test.rejects(readAll(file, 90_000), WrongContent)
  test.strictSame(told, [], 'the next reader compares it with its digest')
})
