import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  entryPath,
  openCacheDirectory,
  parseEntryName,
  shardOf,
  shardsOf,
} from '../../src/storage/cache-directory.ts'

const digest = `sha256:${'ab'.repeat(32)}`

await t.test('a new directory, and the same one again', async (test) => {
  const path = join(test.testdir(), 'deep', 'cache')
  const first = openCacheDirectory(path)
  test.equal(readFileSync(join(path, 'version'), 'utf8'), 'quay-proxy cache 1\n')
  test.equal(statSync(path).mode & 0o777, 0o700)
  test.throws(() => openCacheDirectory(path), { message: /^--cache-dir=\S+ is in use by process \d+/ })
  first.close()
  openCacheDirectory(path).close()
  test.strictSame(readdirSync(path).toSorted(), ['blobs', 'fills', 'manifests', 'version'])
})

await t.test('unfinished fills are swept, entries stay', async (test) => {
  const path = test.testdir({
    version: 'quay-proxy cache 1\n',
    fills: { a: 'x', b: 'y' },
    blobs: { sha256: { ab: { entry: 'z' } } },
  })
  openCacheDirectory(path).close()
  test.strictSame(readdirSync(join(path, 'fills')), [])
  test.ok(existsSync(join(path, 'blobs/sha256/ab/entry')))
})

await t.test('a directory of another program is refused, and left unchanged', async (test) => {
  const rows = [
    [{ version: 'quay-proxy cache 2\n' }, /is of another version \("quay-proxy cache 2"\); empty it/],
    [{ version: `${'x'.repeat(1000)}\n` }, /is of another version \("x{40}"\)/],
    [{ 'my-thesis.txt': '' }, /holds other files \(my-thesis.txt\); give the cache a directory of its own/],
  ] as const
  for (const [content, message] of rows) {
    const path = test.testdir(content)
    test.throws(() => openCacheDirectory(path), { message })
    test.strictSame(readdirSync(path), Object.keys(content))
  }
  const file = join(test.testdir({ file: '' }), 'file')
  test.throws(() => openCacheDirectory(file), { message: /cannot be used \(EEXIST\); make it a directory/ })
})

await t.test('a new volume, and a start that was killed before it wrote the version', async (test) => {
  const path = test.testdir({ 'lost+found': {}, lock: JSON.stringify({ host: 'x', pid: process.pid }) })
  test.throws(() => openCacheDirectory(path), { message: /is in use by process \d+ of x/ })
  openCacheDirectory(test.testdir({ 'lost+found': {} })).close()
  // What a running proxy writes after somebody has emptied its directory.
  const emptied = test.testdir({ tags: '', fills: {}, blobs: {}, removals: {}, state: {} })
  openCacheDirectory(emptied).close()
  test.ok(existsSync(join(emptied, 'version')))
})

await t.test('names of entries', async (test) => {
  const hex = 'ab'.repeat(32)
  test.strictSame(parseEntryName(`${hex}.12`), { digest, size: 12 })
  test.strictSame(parseEntryName(`${hex}${hex}.0`), { digest: `sha512:${hex}${hex}`, size: 0 })
  for (const name of [
    '',
    hex,
    `${hex}.`,
    `${hex}.x`,
    `${hex}.1.2`,
    `x${hex}.1`,
    `${hex.slice(2)}.1`,
    `${hex}.-1`,
  ])
    test.equal(parseEntryName(name), undefined, name)
  const path = entryPath('/cache', 'blobs', { digest, size: 12 })
  test.equal(path, `/cache/blobs/sha256/ab/${hex}.12`)
  test.ok(shardsOf('/cache', 'blobs').includes(shardOf('/cache', 'blobs', digest)))
  test.equal(new Set(shardsOf('/cache', 'manifests')).size, 512)
})
