import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { entryPath } from '../../src/storage/cache-directory.ts'
import { digestOf } from '../storage/fixtures.ts'
import { ended, refused } from './fake-io.ts'

await t.test('cache: what a directory holds, and whether it is right', async (test) => {
  const directory = test.testdir({ version: 'quay-proxy cache 1\n' })
  const flag = `--cache-dir=${directory}`
  const { stdout, code } = await ended(['cache', 'stats', flag])
  test.match(stdout, 'blobs: 0, 0.0 MiB')
  test.equal(code, 0)
  const path = entryPath(directory, 'blobs', { digest: digestOf(Buffer.from('a')), size: 1 })
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, 'b')
  const found = await ended(['cache', 'verify', flag])
  test.match(found.stdout, '1 entries, 0.0 MiB: 1 wrong')
  test.equal(found.code, 1)
  await refused(test, ['cache', 'stats'], [/cache needs --cache-dir=DIR/])
  await refused(
    test,
    ['cache', 'stats', '--cache-dir=/absent'],
    ['--cache-dir=/absent cannot be read (ENOENT)'],
  )
})
