import { spawnSync } from 'node:child_process'
import fs, {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { isFull, isOfFile, systemDisk as disk } from '../../src/storage/disk.ts'

await t.test('a file is written, read, synced and published', async (test) => {
  const root = test.testdir()
  const path = join(root, 'fill')
  const fd = await disk.create(path)
  await test.rejects(disk.create(path), { code: 'EEXIST' })
  test.equal(statSync(path).mode & 0o777, 0o600)
  await disk.write(fd, Buffer.from('world'), 5)
  await disk.write(fd, Buffer.from('hello'), 0)
  const into = Buffer.alloc(20)
  test.equal(await disk.read(fd, into, 2), 8, 'fewer than wanted at the end of the file')
  test.equal(into.toString('latin1', 0, 8), 'lloworld')
  test.equal(await disk.read(fd, into, 10), 0)
  test.equal(await disk.read(fd, into.subarray(0, 3), 0), 3)
  await disk.sync(fd)
  await disk.close(fd)
  const to = join(root, 'blobs', 'ab', 'entry')
  await disk.publish(path, to)
  test.equal(readFileSync(to, 'utf8'), 'helloworld')
  writeFileSync(path, 'again')
  await disk.publish(path, to)
  test.notOk(existsSync(path))
  const opened = await disk.open(to)
  test.equal(opened.size, 5)
  await disk.close(opened.fd)
  await test.rejects(disk.close(opened.fd), { code: 'EBADF' })
})

await t.test('missing files, and a file in place of a folder', async (test) => {
  const root = test.testdir({ file: '' })
  const absent = join(root, 'absent')
  test.strictSame(await disk.list(absent), [])
  await test.rejects(disk.list(join(root, 'file')), { code: 'ENOTDIR' })
  await test.rejects(disk.open(absent), { code: 'ENOENT' })
  await test.rejects(disk.publish(absent, join(root, 'x', 'y')), { code: 'ENOENT' })
  await test.rejects(disk.publish(join(root, 'file'), join(root, 'file', 'y')), { code: 'ENOTDIR' })
  await disk.remove(absent)
})

await t.test('attack: what stands in the place of an entry is a link, or a pipe', async (test) => {
  const root = test.testdir({ file: '12345' })
  symlinkSync(join(root, 'file'), join(root, 'link'))
  await test.rejects(disk.open(join(root, 'link')), { code: 'ELOOP' })
  spawnSync('mkfifo', [join(root, 'pipe')])
  const pipe = await disk.open(join(root, 'pipe'))
  test.equal(pipe.size, 0, 'it is no entry of any size')
  await disk.close(pipe.fd)
})

await t.test('times, names and room', async (test) => {
  const root = test.testdir()
  mkdirSync(join(root, 'folder'))
  const path = join(root, 'folder', 'file')
  writeFileSync(path, '12345')
  utimesSync(path, new Date(0), new Date(0))
  test.match(await disk.times(path), { size: 5, mtimeMs: 0 })
  await disk.touch(path)
  test.ok((await disk.times(path)).mtimeMs > 0)
  test.strictSame(await disk.list(join(root, 'folder')), ['file'])
  test.ok((await disk.freeBytes(root)) > 0)
  await disk.remove(path)
  test.notOk(existsSync(path))
})

await t.test('a folder that somebody has removed is created again', async (test) => {
  const path = join(test.testdir(), 'fills', 'fill')
  await disk.close(await disk.create(path))
  test.equal(statSync(join(path, '..')).mode & 0o777, 0o700)
  await test.rejects(disk.create(join(path, 'x')), { code: 'ENOTDIR' })
})

await t.test('a file whose size cannot be read leaves no descriptor open', async (test) => {
  const { fstat } = fs
  const path = join(test.testdir({ file: '' }), 'file')
  const restore = () => {
    fs.fstat = fstat
    syncBuiltinESMExports()
  }
  test.teardown(restore)
  fs.fstat = ((_fd: number, done: (error: Error) => void) => done(new Error('EIO'))) as typeof fstat
  syncBuiltinESMExports()
  await test.rejects(disk.open(path), { message: 'EIO' })
  restore()
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  test.notOk(targets.includes(path))
})

await t.test('an error of the process is not one of the file', (test) => {
  for (const [error, expected] of [
    [{ code: 'EIO' }, true],
    [{ code: 'EACCES' }, true],
    [new Error('short'), true],
    [{ code: 'EMFILE' }, false],
    [{ code: 'ENFILE' }, false],
    [{ code: 'ENOMEM' }, false],
    [{ name: 'DiskTooSlow' }, false],
  ] as const)
    test.equal(isOfFile(error), expected)
  test.end()
})

await t.test('a disk is full for everybody, or for this user', (test) => {
  for (const code of ['ENOSPC', 'EDQUOT']) test.ok(isFull({ code }), code)
  for (const error of [{ code: 'EROFS' }, new Error('no code')]) test.notOk(isFull(error))
  test.end()
})

await t.test('the clock is set back: an entry that is used does not look old', async (test) => {
  const path = join(test.testdir({ file: '' }), 'file')
  const { now } = Date
  test.teardown(() => (Date.now = now))
  const before = now()
  Date.now = () => now() - 365 * 86_400_000
  utimesSync(path, new Date(0), new Date(0))
  await disk.touch(path)
  test.ok((await disk.times(path)).mtimeMs > before - 60_000)
  Date.now = () => now() + 86_400_000
  await disk.touch(path)
  test.ok((await disk.times(path)).mtimeMs > before + 86_000_000)
})
