import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { entryPath } from '../../src/storage/cache-directory.ts'
import { ContentStore, type ContentStoreOptions } from '../../src/storage/content-store.ts'
import { systemDisk, type Disk } from '../../src/storage/disk.ts'
import { DiskQueue } from '../../src/storage/disk-queue.ts'
import { ReadBuffers } from '../../src/storage/read-buffers.ts'
import { until } from '../support/until.ts'
import { addAll, bytesOf, digestOf, diskWith, failing, freshDirectory, hanging } from './fixtures.ts'

const content = bytesOf(100_000)
const digest = digestOf(content)
const running = new AbortController().signal

const setUp = (test: Test, options: Partial<ContentStoreOptions> = {}, disk: Partial<Disk> = {}) => {
  const root = options.root ?? freshDirectory(test)
  mkdirSync(join(root, 'fills'), { recursive: true })
  const told: string[] = []
  const open = () =>
    new ContentStore({
      root,
      kind: 'blobs',
      maxBytes: 10_000_000,
      disk: diskWith(disk),
      queue: new DiskQueue({ deadlineMs: 10_000 }),
      flushes: new DiskQueue({ maxRunning: 1 }),
      buffers: new ReadBuffers(),
      observe: {
        fillEnded: (kind, outcome, bytes) => void told.push(`${kind} ${outcome} ${bytes}`),
        evicted: (kind, bytes) => void told.push(`${kind} evicted ${bytes}`),
        corrupt: (kind, why) => void told.push(`${kind} corrupt ${why}`),
      },
      ...options,
    })
  const pathOf = (of: string, size: number) => entryPath(root, 'blobs', { digest: of, size })
  return { root, told, open, store: open(), pathOf, fills: () => readdirSync(join(root, 'fills')) }
}

const put = async (store: ContentStore, bytes: Buffer) => {
  const fill = await store.begin(digestOf(bytes), bytes.length, 'alice')
  await addAll(fill!, bytes, 50_000)
  await fill!.complete()
}

/** All bytes of an entry; undefined without an entry. */
const get = async (store: ContentStore, of = digest) => {
  const file = await store.find(of, 'alice')
  if (file === undefined) return undefined
  const bytes = Buffer.alloc(file.size)
  for (let at = 0; at < bytes.length;) at += await file.read(bytes.subarray(at), at)
  await file.close()
  return bytes
}

await t.test('a filled entry is found, also by a later run that reads the names', async (test) => {
  const { store, open, told, fills, pathOf } = setUp(test)
  await store.load(running)
  test.equal(await get(store), undefined)
  await put(store, content)
  test.notOk(store.has(digestOf(Buffer.from('x'))))
  test.ok(store.has(digest))
  test.ok((await get(store))?.equals(content))
  test.strictSame(told, ['blobs stored 100000'])
  test.strictSame(fills(), [])
  test.equal(statSync(pathOf(digest, content.length)).size, content.length)
  const later = open()
  test.strictSame(later.stats(), { entries: 0, bytes: 0, isLoaded: false })
  test.ok((await get(later))?.equals(content), 'before its names are read')
  test.equal(await get(later, digestOf(Buffer.from('x'))), undefined)
  await later.load(running)
  test.strictSame(later.stats(), { entries: 1, bytes: 102_400, isLoaded: true })
  const stopped = open()
  await stopped.load(AbortSignal.abort())
  test.notOk(stopped.stats().isLoaded)
})

await t.test('a fill that ends otherwise leaves nothing', async (test) => {
  const { store, told, fills, root } = setUp(test)
  const wrong = await store.begin(digest, 3, 'alice')
  await addAll(wrong!, Buffer.from('abc'))
  await wrong!.complete()
  await until(() => fills().length === 0)
  const cancelled = await store.begin(digest, content.length, 'alice')
  test.equal(fills().length, 1)
  cancelled!.enter()
  cancelled!.leave()
  await until(() => fills().length === 0)
  test.strictSame(told, ['blobs wrong 0', 'blobs cancelled 0'])
  test.notOk(existsSync(join(root, 'blobs')))
})

await t.test('the least recently used goes, and the order outlives a restart', async (test) => {
  const { store, open, told, pathOf } = setUp(test, { maxBytes: 330_000 })
  const [a, b, c, d] = [1, 2, 3, 4].map((size) => bytesOf(100_000 + size)) as [Buffer, Buffer, Buffer, Buffer]
  for (const bytes of [a, b, c]) await put(store, bytes)
  for (const bytes of [a, b, c]) utimesSync(pathOf(digestOf(bytes), bytes.length), new Date(0), new Date(0))
  const later = open()
  await later.load(running)
  test.ok(await get(later, digestOf(a)))
  await until(() => statSync(pathOf(digestOf(a), a.length)).mtimeMs > 0)
  utimesSync(pathOf(digestOf(b), b.length), new Date(1), new Date(1))
  const last = open()
  await last.load(running)
  await put(last, d)
  await until(() => !existsSync(pathOf(digestOf(b), b.length)) || !existsSync(pathOf(digestOf(c), c.length)))
  test.ok(existsSync(pathOf(digestOf(a), a.length)))
  test.equal(told.filter((line) => line.includes('evicted')).length, 1)
  test.equal(await last.begin(digest, 330_001, 'alice'), undefined, 'larger than the bound')
})

await t.test('an entry is marked as used now and then', async (test) => {
  let touches = 0
  const { store } = setUp(test, {}, { touch: async () => await Promise.resolve(void (touches += 1)) })
  await put(store, content)
  for (let round = 0; round < 5; round++) await get(store)
  await until(() => touches > 0)
  test.equal(touches, 1)
})

await t.test('attack: a file of the cache is changed while the program runs', async (test) => {
  const { store, told, pathOf } = setUp(test)
  await put(store, content)
  for (let round = 0; round < 2; round++) test.ok((await get(store))?.equals(content))
  const path = pathOf(digest, content.length)
  const wrong = Buffer.from(content)
  wrong[50_000] = (wrong[50_000] ?? 0) ^ 1
  writeFileSync(path, wrong)
  await test.rejects(get(store), /not those of the digest/)
  test.strictSame(told.slice(1), ['blobs corrupt digest'])
  test.equal(await get(store), undefined, 'it is dropped')
  await put(store, content)
  // The same bytes with another time are compared once more.
  utimesSync(path, new Date(0), new Date(0))
  test.equal((await store.find(digest, 'alice'))?.isVerified, false)
  test.ok((await get(store))?.equals(content))
  test.equal((await store.find(digest, 'alice'))?.isVerified, true)
})

await t.test('entries that are short, long, unreadable, wrong, or gone are no entries', async (test) => {
  const { store, told, pathOf } = setUp(test)
  await store.load(running)
  const path = pathOf(digest, content.length)
  const rows: [string, () => void, string[]][] = [
    ['short', () => truncateSync(path, 10), ['blobs corrupt size']],
    ['long', () => truncateSync(path, 1_000_000), ['blobs corrupt size']],
    ['gone', () => rmSync(path), []],
    ['a folder', () => (rmSync(path), mkdirSync(path)), ['blobs corrupt size']],
  ]
  for (const [name, act, expected] of rows) {
    rmSync(path, { recursive: true, force: true })
    await put(store, content)
    told.length = 0
    act()
    test.equal(await get(store), undefined, name)
    test.strictSame(told, expected, name)
    test.equal(store.stats().entries, 0, name)
  }
})

await t.test('an error of the disk is no entry; a disk that hangs is no reason to drop one', async (test) => {
  let failure: Disk['open'] | undefined = failing('EIO')
  const open: Disk['open'] = async (path) => await (failure ?? systemDisk.open)(path)
  const { store, told, pathOf } = setUp(test, { queue: new DiskQueue({ deadlineMs: 200 }) }, { open })
  await put(store, content)
  told.length = 0
  test.equal(await get(store), undefined)
  test.strictSame(told, ['blobs corrupt unreadable'])
  await until(() => !existsSync(pathOf(digest, content.length)))
  await put(store, content)
  const slow = Promise.withResolvers<void>()
  failure = async (path) => {
    await slow.promise
    return await systemDisk.open(path)
  }
  test.equal(await get(store), undefined)
  test.equal(await store.begin(digest, 5, 'alice'), undefined, 'nor is a fill begun meanwhile')
  slow.resolve()
  failure = undefined
  await until(async () => (await get(store))?.equals(content) === true)
  test.equal(store.stats().entries, 1)
})

await t.test('a process without free descriptors drops no entry', async (test) => {
  for (const call of ['open', 'read'] as const) {
    let code: string | undefined
    const failingNow = async (...args: readonly unknown[]) =>
      await (code === undefined
        ? (systemDisk[call] as (...all: unknown[]) => Promise<never>)(...args)
        : failing(code)())
    const { store, told, pathOf } = setUp(test, {}, { [call]: failingNow })
    await put(store, content)
    told.length = 0
    for (code of ['EMFILE', 'ENFILE', 'ENOMEM']) await get(store).catch(() => undefined)
    code = undefined
    test.ok((await get(store))?.equals(content), call)
    test.ok(existsSync(pathOf(digest, content.length)))
    test.strictSame(told, [])
  }
})

await t.test('the directory is emptied while it is used: it is filled again', async (test) => {
  const { store, root } = setUp(test)
  await put(store, content)
  for (const name of readdirSync(root)) rmSync(join(root, name), { recursive: true })
  test.equal(await get(store), undefined)
  await put(store, content)
  test.ok((await get(store))?.equals(content))
  test.equal(store.stats().entries, 1)
})

await t.test('a wrong entry is dropped by its reader', async (test) => {
  const { store, open, told, pathOf } = setUp(test)
  await put(store, content)
  writeFileSync(pathOf(digest, content.length), Buffer.alloc(content.length))
  const later = open()
  await later.load(running)
  await test.rejects(get(later), { name: 'WrongContent' })
  test.strictSame(told.at(-1), 'blobs corrupt digest')
  await until(() => !existsSync(pathOf(digest, content.length)))
  test.equal(await get(later), undefined)
})

await t.test('a wrong entry that is dropped is not found by its name again', async (test) => {
  const { store, root, pathOf } = setUp(test)
  await put(store, content)
  writeFileSync(pathOf(digest, content.length), Buffer.alloc(content.length))
  const later = setUp(test, { root }, { remove: failing('EROFS') })
  await test.rejects(get(later.store), { name: 'WrongContent' })
  test.equal(await get(later.store), undefined)
  await later.store.load(running)
  test.equal(await get(later.store), undefined)
})

await t.test('an entry that was compared once in this run is not compared again', async (test) => {
  const { store, open, pathOf } = setUp(test)
  await put(store, content)
  const later = open()
  const path = pathOf(digest, content.length)
  utimesSync(path, new Date(0), new Date(0))
  await get(later)
  await until(() => statSync(path).mtimeMs > 0)
  await until(async () => (await later.find(digest, 'alice'))?.isVerified === true)
  const touchedAt = new Date(Math.round(statSync(path).mtimeMs))
  writeFileSync(path, Buffer.alloc(content.length))
  utimesSync(path, touchedAt, touchedAt)
  test.ok((await get(later))?.equals(Buffer.alloc(content.length)))
})

await t.test(
  'a disk that is fuller than the bound: old entries go, and else there is no fill',
  async (test) => {
    let free = 1_000_000_000
    const { store, told, pathOf } = setUp(test, {}, { freeBytes: async () => await Promise.resolve(free) })
    await put(store, content)
    free = 64 * 1024 * 1024 + 50_000
    const small = bytesOf(100_001)
    await put(store, small)
    test.strictSame(told, ['blobs stored 100000', 'blobs evicted 100000', 'blobs stored 100001'])
    await until(() => !existsSync(pathOf(digest, content.length)))
    free = 0
    test.equal(await store.begin(digest, content.length, 'alice'), undefined)
    test.strictSame(told.slice(3), ['blobs full 0'], 'full of other things: the entries stay')
    test.ok(store.has(digestOf(small)))
  },
)

await t.test('what an operator removes while it is filled does not become an entry', async (test) => {
  const { store, told, pathOf } = setUp(test)
  const fill = await store.begin(digest, content.length, 'alice')
  fill?.add(content, () => undefined)
  store.forget(digest)
  await fill?.complete()
  test.strictSame(told, ['blobs cancelled 0'])
  test.equal(await store.find(digest, 'alice'), undefined)
  await put(store, content)
  test.ok(store.has(digest), 'a fill that begins after the removal does')
  store.forget(digest)
  test.notOk(store.has(digest))
  await until(() => !existsSync(pathOf(digest, content.length)))
})

await t.test('a disk that cannot be written to begins no fill', async (test) => {
  for (const [code, outcome] of [
    ['EROFS', 'unwritable'],
    ['ENOSPC', 'full'],
  ] as const) {
    const { store, told } = setUp(test, {}, { create: failing(code) })
    test.equal(await store.begin(digest, 10, 'alice'), undefined)
    test.strictSame(told, [`blobs ${outcome} 0`])
  }
})

await t.test('a file that is created too late is removed', async (test) => {
  const slow = Promise.withResolvers<void>()
  let created = 0
  const create: Disk['create'] = async (path) => {
    await slow.promise
    const fd = await systemDisk.create(path)
    created += 1
    return fd
  }
  const { store, told, fills } = setUp(test, { queue: new DiskQueue({ deadlineMs: 200 }) }, { create })
  test.equal(await store.begin(digest, 10, 'alice'), undefined)
  test.strictSame(told, ['blobs slow 0'])
  slow.resolve()
  await until(() => created === 1 && fills().length === 0)
})

await t.test('names that are not ours, and files and folders that cannot be looked at', async (test) => {
  const { root, open, pathOf, store } = setUp(test)
  await put(store, content)
  const folder = dirname(pathOf(digest, content.length))
  writeFileSync(join(folder, 'notes.txt'), '')
  writeFileSync(join(folder, `${'0'.repeat(64)}.1`), '')
  const times: Disk['times'] = async (path) =>
    path.endsWith('.1') ? await failing('EIO')() : await systemDisk.times(path)
  const later = setUp(test, { root }, { times }).store
  await later.load(running)
  test.equal(later.stats().entries, 1)
  const blind = setUp(test, { root }, { list: failing('EIO') }).store
  test.equal(await get(blind), undefined)
  await blind.load(running)
  test.equal(blind.stats().entries, 0)
  const stuck = setUp(test, { root, queue: new DiskQueue({ deadlineMs: 20 }) }, { times: hanging }).store
  const stopped = new AbortController()
  const loading = stuck.load(stopped.signal)
  setImmediate(() => stopped.abort())
  await loading
  test.equal(stuck.stats().entries, 0)
  await open().load(running)
})

await t.test('a folder with more entries than are read at once', async (test) => {
  const { root, store } = setUp(test)
  const folder = join(root, 'blobs', 'sha256', 'ab')
  mkdirSync(folder, { recursive: true })
  for (let at = 0; at < 150; at++) writeFileSync(join(folder, `ab${`${at}`.padStart(62, '0')}.0`), '')
  await store.load(running)
  test.equal(store.stats().entries, 150)
})

await t.test('a flush that fails: the file is no entry', async (test) => {
  const { store, told, fills } = setUp(test, {}, { sync: failing('EIO') })
  const filled = put(store, content)
  await store.published()
  await filled
  await store.published()
  test.strictSame(told, ['blobs unwritable 0'])
  await until(() => fills().length === 0)
  await store.load(running)
  test.equal(await get(store), undefined)
})
