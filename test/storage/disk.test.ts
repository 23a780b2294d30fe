import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemDisk as disk } from '../../src/storage/disk.ts'

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
