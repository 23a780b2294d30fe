import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { lockDirectory } from '../../src/shared-state/directory-lock.ts'

const here = { host: 'a', pid: process.pid }

await t.test('one process at a time has the lock', async (test) => {
  const directory = test.testdir()
  const path = join(directory, 'lock')
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' })
  test.teardown(() => child.kill('SIGKILL'))
  const held = lockDirectory(directory, { host: 'a', pid: child.pid! })
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

await t.test('the lock of an earlier run of this process is taken over', async (test) => {
  const directory = test.testdir({ lock: JSON.stringify({ host: hostname(), pid: process.pid }) })
  lockDirectory(directory).release()
})

await t.test('a process that cannot be signalled is alive', async (test) => {
  const directory = test.testdir({ lock: JSON.stringify({ host: 'a', pid: 1 }) })
  const kill = process.kill.bind(process)
  test.teardown(() => (process.kill = kill))
  process.kill = () => {
    throw Object.assign(new Error('x'), { code: 'EPERM' })
  }
  test.throws(() => lockDirectory(directory, here), { message: /process 1 of a/ })
})

await t.test('a lock of another host counts by its time', async (test) => {
  const directory = test.testdir({ lock: JSON.stringify({ host: 'b', pid: 1 }) })
  const path = join(directory, 'lock')
  test.throws(() => lockDirectory(directory, here), { message: /process 1 of b/ })
  utimesSync(path, new Date(0), new Date(0))
  lockDirectory(directory, here).release()
})

await t.test('a file that is no lock is taken over', async (test) => {
  for (const lock of ['', '{', '{"host":1}', '{"host":"a","pid":"1"}']) {
    const directory = test.testdir({ lock })
    lockDirectory(directory, here)
    test.same(JSON.parse(readFileSync(join(directory, 'lock'), 'utf8')), here)
  }
})

await t.test('the time of the lock is renewed, and a missing volume causes no error', async (test) => {
  const directory = test.testdir()
  const path = join(directory, 'lock')
  const lock = lockDirectory(directory, here, 5)
  utimesSync(path, new Date(0), new Date(0))
  while (statSync(path).mtimeMs === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  rmSync(path)
  await new Promise((resolve) => setTimeout(resolve, 20))
  lock.release()
  test.notOk(existsSync(path))
})

await t.test('a directory that is not writable', async (test) => {
  const directory = test.testdir({ file: '' })
  test.throws(() => lockDirectory(join(directory, 'file'), here), {
    message: /cannot be written to \(ENOTDIR\)/,
  })
})
