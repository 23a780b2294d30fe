import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, { existsSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isDirectoryInUse, lockDirectory as lock, type LockHolder } from '../../src/storage/directory-lock.ts'

const here = { host: 'a', pid: process.pid }
const lockDirectory = (directory: string, self?: LockHolder, everyMs?: number) =>
  lock({
    directory,
    flag: '--state-dir',
    ...(self === undefined ? {} : { self }),
    ...(everyMs === undefined ? {} : { everyMs }),
  })

await t.test('one process at a time', async (test) => {
  const directory = test.testdir()
  const path = join(directory, 'lock')
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' })
  test.teardown(() => child.kill('SIGKILL'))
  test.notOk(isDirectoryInUse(directory, here))
  const held = lockDirectory(directory, { host: 'a', pid: child.pid! })
  test.ok(isDirectoryInUse(directory, here))
  test.equal(statSync(path).mode & 0o777, 0o600)
  test.throws(() => lockDirectory(directory, here), {
    message: new RegExp(`in use by process ${child.pid} of a; give each proxy`),
  })
  held.release()
  test.notOk(existsSync(path))
  lockDirectory(directory, here).release()
  writeFileSync(path, JSON.stringify({ host: 'a', pid: child.pid }))
  child.kill('SIGKILL')
  await once(child, 'close')
  lockDirectory(directory, here).release()
})

await t.test('an earlier run of this program was killed', async (test) => {
  const directory = test.testdir({ lock: JSON.stringify({ host: hostname(), pid: process.pid }) })
  test.notOk(isDirectoryInUse(directory))
  const { release } = lockDirectory(directory)
  test.ok(isDirectoryInUse(directory), 'by this process')
  release()
})

await t.test('a process of another user is alive', async (test) => {
  const directory = test.testdir({ lock: JSON.stringify({ host: 'a', pid: 1 }) })
  const kill = process.kill.bind(process)
  test.teardown(() => (process.kill = kill))
  process.kill = () => {
    throw Object.assign(new Error('x'), { code: 'EPERM' })
  }
  test.throws(() => lockDirectory(directory, here), { message: /process 1 of a/ })
})

await t.test('the lock of another host is judged by its age', async (test) => {
  const directory = test.testdir({ lock: JSON.stringify({ host: 'b', pid: 1 }) })
  const path = join(directory, 'lock')
  test.throws(() => lockDirectory(directory, here), { message: /process 1 of b/ })
  utimesSync(path, new Date(0), new Date(0))
  lockDirectory(directory, here).release()
})

await t.test('a file that is not a lock is replaced', async (test) => {
  for (const lock of ['', '{', '{"host":1}', '{"host":"a","pid":"1"}']) {
    const directory = test.testdir({ lock })
    utimesSync(join(directory, 'lock'), new Date(0), new Date(0))
    const { release } = lockDirectory(directory, here)
    test.same(JSON.parse(readFileSync(join(directory, 'lock'), 'utf8')), here)
    release()
  }
})

await t.test('the time is renewed, and a missing volume causes no error', async (test) => {
  const directory = test.testdir()
  const path = join(directory, 'lock')
  const held = lockDirectory(directory, here, 5)
  utimesSync(path, new Date(0), new Date(0))
  while (statSync(path).mtimeMs === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  rmSync(path)
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 5))
  test.ok(isDirectoryInUse(directory, { host: 'b', pid: 1 }), 'a removed lock is written again')
  rmSync(directory, { recursive: true })
  await new Promise((resolve) => setTimeout(resolve, 20))
  held.release()
  test.notOk(existsSync(path))
})

await t.test('attack: a process that has lost its lock touches that of the next one', async (test) => {
  const directory = test.testdir()
  const path = join(directory, 'lock')
  const held = lockDirectory(directory, here, 5)
  const other = JSON.stringify({ host: 'b', pid: 2 })
  writeFileSync(path, other)
  utimesSync(path, new Date(0), new Date(0))
  await new Promise((resolve) => setTimeout(resolve, 20))
  held.release()
  test.equal(readFileSync(path, 'utf8'), other)
  test.equal(statSync(path).mtimeMs, 0)
})

await t.test('a directory that cannot be written to', async (test) => {
  const directory = test.testdir({ file: '' })
  test.throws(() => lockDirectory(join(directory, 'file'), here), {
    message: /cannot be written to \(ENOTDIR\)/,
  })
  // As on a file system that became read-only: the holder of the lock is gone, and its lock stays.
  const stale = { lock: JSON.stringify({ host: 'a', pid: 2 ** 30 }), [`lock.stale.${here.pid}`]: {} }
  test.throws(() => lockDirectory(test.testdir(stale), here), {
    message: /cannot be written to \(EISDIR\); make it a directory of this user/,
  })
})

await t.test('a lock that is being written is held', async (test) => {
  const directory = test.testdir({ lock: '' })
  test.throws(() => lockDirectory(directory, here), { message: /is in use/ })
})

await t.test('a second time in one process', async (test) => {
  const directory = test.testdir()
  const first = lockDirectory(directory)
  test.throws(() => lockDirectory(directory), { message: new RegExp(`in use by process ${process.pid}`) })
  first.release()
  lockDirectory(directory).release()
})

await t.test('another process has the number of the one that is gone', async (test) => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' })
  test.teardown(() => child.kill('SIGKILL'))
  const gone = { host: 'a', pid: child.pid!, start: '1' }
  const directory = test.testdir({ lock: JSON.stringify(gone) })
  lockDirectory(directory, here).release()
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  writeFileSync(join(directory, 'lock'), JSON.stringify({ ...gone, start }))
  test.throws(() => lockDirectory(directory, here), { message: /is in use/ })
})

await t.test('a system that does not tell when a process started', async (test) => {
  const directory = test.testdir({ lock: JSON.stringify({ host: 'a', pid: 2 ** 30, start: '5' }) })
  const kill = process.kill.bind(process)
  test.teardown(() => (process.kill = kill))
  process.kill = () => true
  test.throws(() => lockDirectory(directory, here), { message: /is in use/ })
})

/** What another process does to a lock at the moment at which this one has read it, and found its holder gone. */
const meanwhile = (test: Test, act: () => void) => {
  const kill = process.kill.bind(process)
  test.teardown(() => (process.kill = kill))
  process.kill = () => {
    act()
    throw Object.assign(new Error('x'), { code: 'ESRCH' })
  }
}

await t.test('two processes take a stale lock at the same time', async (test) => {
  const stale = JSON.stringify({ host: 'a', pid: 1 })
  const directory = test.testdir({ lock: stale })
  const path = join(directory, 'lock')
  const other = JSON.stringify({ host: 'b', pid: 2 })
  meanwhile(test, () => writeFileSync(path, other))
  test.throws(() => lockDirectory(directory, here), { message: /process 2 of b/ })
  test.equal(readFileSync(path, 'utf8'), other, 'the lock of the other one is back')
  writeFileSync(path, stale)
  meanwhile(test, () => rmSync(path, { force: true }))
  lockDirectory(directory, here).release()
})

await t.test('a lock of another host that goes while it is looked at', async (test) => {
  const directory = test.testdir({ lock: JSON.stringify({ host: 'b', pid: 1 }) })
  const path = join(directory, 'lock')
  const parse = JSON.parse.bind(JSON)
  test.teardown(() => (JSON.parse = parse))
  JSON.parse = (text) => {
    JSON.parse = parse
    rmSync(path)
    return parse(text) as unknown
  }
  lockDirectory(directory, here).release()
})

/** The disk has room for names, and for nothing else. */
const fillDisk = (test: Test, hasInodes = true): (() => void) => {
  const write = fs.writeFileSync
  const makeRoom = () => {
    fs.writeFileSync = write
    syncBuiltinESMExports()
  }
  test.teardown(makeRoom)
  fs.writeFileSync = (path, _text, options) => {
    if (hasInodes) write(path, '', options)
    throw Object.assign(new Error('x'), { code: 'ENOSPC' })
  }
  syncBuiltinESMExports()
  return makeRoom
}

await t.test('on a full disk the lock is empty, and is written when there is room', async (test) => {
  const directory = test.testdir()
  const path = join(directory, 'lock')
  const other = { host: 'b', pid: 1 }
  const makeRoom = fillDisk(test)
  const held = lockDirectory(directory, here, 5)
  test.equal(readFileSync(path, 'utf8'), '')
  test.ok(isDirectoryInUse(directory, other))
  test.throws(() => lockDirectory(directory, other), { message: /is in use/ })
  makeRoom()
  while (readFileSync(path, 'utf8') === '') await new Promise((resolve) => setTimeout(resolve, 5))
  test.same(JSON.parse(readFileSync(path, 'utf8')), here)
  held.release()
  test.notOk(existsSync(path))
  fillDisk(test, false)
  test.throws(() => lockDirectory(directory, here), { message: /cannot be written to \(ENOSPC\)/ })
})

await t.test(
  'a disk that has become read-only: the lock stays, and the process ends as usual',
  async (test) => {
    const directory = test.testdir()
    const held = lockDirectory(directory, here)
    const { rmSync: remove } = fs
    const restore = () => {
      fs.rmSync = remove
      syncBuiltinESMExports()
    }
    test.teardown(restore)
    fs.rmSync = () => {
      throw Object.assign(new Error('x'), { code: 'EROFS' })
    }
    syncBuiltinESMExports()
    held.release()
    restore()
    test.ok(existsSync(join(directory, 'lock')))
    lockDirectory(directory, here).release()
  },
)
