import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { entryPath } from '../../src/storage/cache-directory.ts'
import { decodeDocument, encodeDocument } from '../../src/storage/documents.ts'
import { openStorage } from '../../src/storage/storage.ts'
import { digestOf, diskWith, failing, freshDirectory } from './fixtures.ts'
import type { Disk } from '../../src/storage/disk.ts'

const content = Buffer.from('{"schemaVersion":2}')
const digest = digestOf(content)
const document = { mediaType: 'application/vnd.oci.image.index.v1+json', content }

const storeFor = (test: Test, disk: Partial<Disk> = {}) => {
  const corrupt: string[] = []
  const directory = freshDirectory(test)
  const storage = openStorage({
    directory,
    maxBytes: 10_000_000,
    observe: {
      fillEnded: () => undefined,
      evicted: () => undefined,
      corrupt: (kind, why) => void corrupt.push(`${kind} ${why}`),
      warning: () => undefined,
    },
    disk: diskWith(disk),
  })
  test.teardown(async () => await storage.close())
  return { store: storage.manifests, directory, corrupt }
}

await t.test('the type and the bytes come back', async (test) => {
  const { store } = storeFor(test)
  test.equal(await store.get(digest, 'alice'), undefined)
  await store.put(digest, document, 'alice')
  await store.put(digest, document, 'alice')
  await store.published()
  test.strictSame(await store.get(digest, 'alice'), document)
  test.equal(store.stats().entries, 1)
  store.forget(digest)
  test.equal(store.stats().entries, 0)
})

await t.test('attack: a type of two lines, or without an end', async (test) => {
  const { store } = storeFor(test)
  for (const mediaType of ['a\nb', 'x'.repeat(256)]) {
    test.equal(encodeDocument({ mediaType, content }), undefined)
    await store.put(digest, { mediaType, content }, 'alice')
    test.equal(await store.get(digest, 'alice'), undefined)
  }
})

await t.test('bytes of another digest are dropped', async (test) => {
  const { store, directory, corrupt } = storeFor(test)
  const bytes = encodeDocument(document) as Buffer
  await store.put(digest, document, 'alice')
  writeFileSync(entryPath(directory, 'manifests', { digest, size: bytes.length }), 'x'.repeat(bytes.length))
  test.equal(await store.get(digest, 'alice'), undefined)
  test.strictSame(corrupt, ['manifests digest'])
  test.equal(store.stats().entries, 0)
  test.equal(decodeDocument(digest, Buffer.concat([Buffer.from('\n'), content])), undefined)
  test.equal(decodeDocument(digest, content), undefined)
})

await t.test('a disk that cannot be read or written', async (test) => {
  const unreadable = storeFor(test, { read: failing('EIO') })
  await unreadable.store.put(digest, document, 'alice')
  test.equal(await unreadable.store.get(digest, 'alice'), undefined)
  test.strictSame(unreadable.corrupt, ['manifests unreadable'])
  const full = storeFor(test, { create: failing('ENOSPC') })
  await full.store.put(digest, document, 'alice')
  test.equal(await full.store.get(digest, 'alice'), undefined)
})
