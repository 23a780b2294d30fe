import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { entryPath } from '../../../src/storage/cache-directory.ts'
import { decodeDocument } from '../../../src/storage/documents.ts'
import { openStorage } from '../../../src/storage/storage.ts'
import { createUploadSource } from '../../../src/storage/s3/upload-source.ts'
import { addAll, bytesOf, digestOf, freshDirectory } from '../fixtures.ts'

const content = bytesOf(600_000)
const digest = digestOf(content)

const setUp = async (test: Test) => {
  const directory = freshDirectory(test)
  const nothing = () => undefined
  const storage = openStorage({
    directory,
    maxBytes: 100_000_000,
    observe: { fillEnded: nothing, evicted: nothing, corrupt: nothing, warning: nothing },
  })
  test.teardown(async () => await storage.close())
  const fill = await storage.blobs.begin(digest, content.length, 'alice')
  await addAll(fill!, content, 100_000)
  await fill!.complete()
  return { directory, storage, source: createUploadSource(storage) }
}

const allOf = async (chunks: AsyncIterable<Buffer>): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(chunks))

await t.test('a blob as its bytes', async (test) => {
  const { source } = await setUp(test)
  const found = await source.open('blobs', digest)
  test.equal(found?.size, content.length)
  test.ok((await allOf(found!.chunks)).equals(content))
  await found?.close()
  test.equal(await source.open('blobs', digestOf(Buffer.from('other'))), undefined)
})

await t.test('an upload that ends early', async (test) => {
  const { source } = await setUp(test)
  const found = await source.open('blobs', digest)
  for await (const chunk of found!.chunks) {
    test.ok(chunk.length < content.length)
    break
  }
  test.strictSame(await allOf(found!.chunks), Buffer.alloc(0))
  await found?.close()
})

for (const isOpen of [false, true])
  await t.test(
    `attack: a file that somebody changed ${isOpen ? 'while it is open' : 'before'} does not reach other replicas`,
    async (test) => {
      const { directory, source } = await setUp(test)
      const path = entryPath(directory, 'blobs', { digest, size: content.length })
      const change = () => writeFileSync(path, Buffer.alloc(content.length))
      if (!isOpen) change()
      const found = await source.open('blobs', digest)
      if (isOpen) change()
      await test.rejects(allOf(found!.chunks), { name: 'WrongContent' })
      await found?.close()
    },
  )

await t.test('a manifest with its type', async (test) => {
  const { storage, source } = await setUp(test)
  const manifest = Buffer.from('{}')
  await storage.manifests.put(digestOf(manifest), { mediaType: 'a/b', content: manifest }, 'alice')
  const found = await source.open('manifests', digestOf(manifest))
  const bytes = await allOf(found!.chunks)
  test.equal(found?.size, bytes.length)
  test.strictSame(decodeDocument(digestOf(manifest), bytes), { mediaType: 'a/b', content: manifest })
  await found?.close()
  test.equal(await source.open('manifests', digest), undefined)
})
