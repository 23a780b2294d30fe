import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { entryPath, openCacheDirectory } from '../../src/storage/cache-directory.ts'
import { encodeDocument } from '../../src/storage/documents.ts'
import {
  checkCacheDirectory,
  entriesNamed,
  entriesOf,
  isIntact,
  readManifest,
  removeEntry,
  type ScannedEntry,
} from '../../src/storage/scan.ts'
import { bytesOf, digestOf, freshDirectory } from './fixtures.ts'

const blob = bytesOf(3_000_000)
const manifest = { mediaType: 'application/json', content: Buffer.from('{"schemaVersion":2}') }

const put = (root: string, kind: 'blobs' | 'manifests', digest: string, bytes: Buffer): string => {
  const path = entryPath(root, kind, { digest, size: bytes.length })
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  return path
}

const stocked = (test: Test) => {
  const root = freshDirectory(test)
  openCacheDirectory(root).close()
  const document = encodeDocument(manifest)!
  const paths = {
    blob: put(root, 'blobs', digestOf(blob), blob),
    sha512: put(root, 'blobs', digestOf(blob, 'sha512'), blob),
    manifest: put(root, 'manifests', digestOf(manifest.content), document),
  }
  writeFileSync(join(dirname(paths.blob), 'notes.txt'), '')
  return { root, paths }
}

const all = async (root: string): Promise<readonly ScannedEntry[]> => [
  ...(await Array.fromAsync(entriesOf(root, 'blobs'))),
  ...(await Array.fromAsync(entriesOf(root, 'manifests'))),
]

await t.test('all entries, by kind and by digest', async (test) => {
  const { root, paths } = stocked(test)
  checkCacheDirectory(root)
  const entries = await all(root)
  test.same(new Set(entries.map(({ path }) => path)), new Set(Object.values(paths)))
  for (const entry of entries) test.ok(await isIntact(entry), entry.path)
  const [found] = await entriesNamed(root, digestOf(manifest.content))
  test.match(found, { kind: 'manifests', path: paths.manifest })
  test.strictSame(await readManifest(found!), manifest)
  test.strictSame(await entriesNamed(root, digestOf(Buffer.from('x'))), [])
  await removeEntry(found!)
  await removeEntry(found!)
  test.equal(await readManifest(found!), undefined)
  test.equal((await all(root)).length, 2)
})

await t.test('an entry that is short, wrong, or cannot be read is not intact', async (test) => {
  const { root, paths } = stocked(test)
  writeFileSync(paths.sha512, Buffer.alloc(blob.length))
  truncateSync(paths.blob, 10)
  writeFileSync(paths.manifest, 'x'.repeat(36))
  for (const entry of await all(root)) test.notOk(await isIntact(entry), entry.path)
  const [entry] = await entriesNamed(root, digestOf(blob))
  rmSync(paths.blob)
  test.notOk(await isIntact(entry!))
})

await t.test('a directory that is no cache', async (test) => {
  const empty = freshDirectory(test)
  test.throws(() => checkCacheDirectory(empty), { message: /is not a cache: no proxy has used it yet/ })
  test.throws(() => checkCacheDirectory(join(empty, 'absent')), { message: /cannot be read \(ENOENT\)/ })
  writeFileSync(join(empty, 'thesis.txt'), '')
  test.throws(() => checkCacheDirectory(empty), { message: /holds other files \(thesis.txt\)/ })
})
