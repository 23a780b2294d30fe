import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
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
  const credentials = join(directory, '..', 'credentials')
  writeFileSync(credentials, 'aws_access_key_id=AKIA\naws_secret_access_key=secret\n', { mode: 0o644 })
  const s3 = ['--cache-s3=s3://bucket', `--cache-s3-credentials-file=${credentials}`]
  const { stderr } = await ended(['cache', 'rm', 'absent', flag, ...s3])
  test.match(stderr, [/^--cache-s3-credentials-file: /, /absent is not in the cache/])
})
