import t from 'tap'
import { openStorage } from '../../src/storage/storage.ts'
import { until } from '../support/until.ts'
import { addAll, bytesOf, digestOf, diskWith, freshDirectory, hanging } from './fixtures.ts'

const observe = {
  fillEnded: () => undefined,
  evicted: () => undefined,
  corrupt: () => undefined,
  warning: () => undefined,
}

await t.test('blobs, manifests and tags of one directory, over a restart', async (test) => {
  const directory = freshDirectory(test)
  const content = bytesOf(50_000)
  const document = { mediaType: 'application/json', content: Buffer.from('{}') }
  const first = openStorage({ directory, maxBytes: 1_000_000, observe })
  test.throws(() => openStorage({ directory, maxBytes: 1_000_000, observe }), { message: /is in use/ })
  const fill = await first.blobs.begin(digestOf(content), content.length, 'alice')
  await addAll(fill!, content)
  await fill!.complete()
  await first.manifests.put(digestOf(document.content), document, 'alice')
  first.tags.set('a', 'b')
  test.equal(
    await first.blobs.begin(digestOf(content), 960_000, 'alice'),
    undefined,
    'a part is for manifests',
  )
  await first.close()

  const second = openStorage({ directory, maxBytes: 1_000_000, observe })
  await second.load(new AbortController().signal)
  test.match(second.blobs.stats(), { entries: 1, isLoaded: true })
  test.match(second.manifests.stats(), { entries: 1, isLoaded: true })
  test.strictSame(await second.manifests.get(digestOf(document.content), 'bob'), document)
  test.equal(second.tags.get('a')?.value, 'b')
  test.ok(second.buffers.take(false).length > 0)
  test.notOk(second.isStuck())
  await second.close()
})

await t.test('a disk that hangs is reported', async (test) => {
  const directory = freshDirectory(test)
  const storage = openStorage({ directory, maxBytes: 1_000_000, observe, disk: diskWith({ list: hanging }) })
  test.equal(await storage.blobs.find(digestOf(Buffer.from('x')), 'alice'), undefined)
  test.ok(storage.isStuck())
  await storage.close()
})

await t.test(
  'complete fills are written before the directory is closed, within a time limit',
  async (test) => {
    const content = bytesOf(50_000)
    const slow = Promise.withResolvers<void>()
    const directory = freshDirectory(test)
    const disk = diskWith({ sync: async () => await slow.promise })
    const storage = openStorage({ directory, maxBytes: 1_000_000, observe, disk })
    const fill = await storage.blobs.begin(digestOf(content), content.length, 'alice')
    await addAll(fill!, content)
    const completed = fill!.complete()
    await until(() => fill!.available === content.length)
    let isClosed = false
    const closed = storage.close().then(() => (isClosed = true))
    await until(async () => await new Promise((resolve) => setImmediate(() => resolve(true))))
    test.notOk(isClosed)
    slow.resolve()
    await Promise.all([completed, closed])
    const next = openStorage({ directory, maxBytes: 1_000_000, observe })
    test.equal((await next.blobs.find(digestOf(content), 'alice'))?.size, content.length)
    await next.close()
  },
)
