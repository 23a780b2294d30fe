import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t, { type Test } from 'tap'
import { cacheCommand, type CacheAction } from '../../src/proxy/cache-command.ts'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import { entryPath } from '../../src/storage/cache-directory.ts'
import { encodeDocument } from '../../src/storage/documents.ts'
import { RemovalInbox, type Removal, type RemovalReport } from '../../src/storage/removals.ts'
import { openStorage } from '../../src/storage/storage.ts'
import { objectKey } from '../../src/storage/s3/object-key.ts'
import { digestOf, freshDirectory } from '../storage/fixtures.ts'
import { bucket, s3Credentials, startS3 } from '../support/s3-server.ts'

const observe = {
  fillEnded: () => undefined,
  evicted: () => undefined,
  corrupt: () => undefined,
  warning: () => undefined,
}

const put = (root: string, kind: 'blobs' | 'manifests', digest: string, bytes: Buffer): string => {
  const path = entryPath(root, kind, { digest, size: bytes.length })
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  return path
}

const setUp = async (test: Test) => {
  const directory = freshDirectory(test)
  const storage = openStorage({ directory, maxBytes: 1_000_000_000, observe })
  const image = await buildImage({
    name: 'a',
    platforms: ['linux/amd64', 'linux/arm64'],
    layers: 2,
    layerBytes: 600_000,
    format: 'oci',
  })
  for (const { digest, mediaType, body } of image.manifests)
    put(directory, 'manifests', digest, encodeDocument({ mediaType, content: body })!)
  for (const [digest, bytes] of image.blobs) put(directory, 'blobs', digest, bytes)
  const other = Buffer.from('another blob')
  put(directory, 'blobs', digestOf(other), other)
  storage.tags.set('ocp_4.5_base 0356', image.digest)
  storage.tags.set('ocp_4.5_base 3', image.digest)
  storage.tags.set('ocp_4.5_base2 3', digestOf(other))
  await storage.close()
  const lines: string[] = []
  const run = async (action: CacheAction, target?: string, progressEveryMs = 5000) => {
    lines.length = 0
    return await cacheCommand({
      action,
      directory,
      target,
      print: (line) => void lines.push(line),
      progressEveryMs,
      maxWaitMs: 50,
    })
  }
  return { directory, image, other, lines, run }
}

await t.test('stats', async (test) => {
  const { image, lines, run } = await setUp(test)
  test.ok(await run('stats'))
  test.match(lines, [
    new RegExp(`^blobs: ${image.blobs.size + 1}, [\\d.]+ MiB$`),
    /^manifests: 3, 0.0 MiB$/,
    'tags: 3',
  ])
})

await t.test('verify, with progress: what is wrong is removed', async (test) => {
  const { directory, image, other, lines, run } = await setUp(test)
  test.ok(await run('verify'))
  test.match(lines, [/^\d+ entries, [\d.]+ MiB: all of them right$/])
  put(directory, 'blobs', digestOf(other), Buffer.from('Another blob'))
  test.notOk(await run('verify', undefined, 0))
  test.ok(lines.includes(`${digestOf(other)} is wrong; removed`))
  test.ok(lines.some((line) => line.startsWith('... 1 entries, ')))
  test.match(lines.at(-1), /: 1 wrong$/)
  test.ok(await run('verify'))
  test.match(lines.at(-1), new RegExp(`^${image.blobs.size + 3} entries`))
})

await t.test(
  'rm: a blob, an image by its digest or tag with all that it names, and what is not there',
  async (test) => {
    for (const byTag of [false, true]) {
      const { image, other, lines, run } = await setUp(test)
      test.ok(await run('rm', digestOf(other)))
      test.match(lines, [
        `removed ${digestOf(other)} (blobs, 0.0 MiB)`,
        /^No proxy runs on the directory: obj/,
      ])
      test.ok(await run('rm', byTag ? 'ocp_4.5_base' : image.digest))
      test.equal(lines.length, image.blobs.size + 3 + 1)
      await run('stats')
      test.match(lines, ['blobs: 0, 0.0 MiB', 'manifests: 0, 0.0 MiB', byTag ? 'tags: 1' : 'tags: 3'])
      await test.rejects(run('rm', image.digest), {
        message: /is not in the cache; a tag is written as upstream/,
      })
      if (!byTag) test.ok(await run('rm', 'ocp_4.5_base'), 'a tag whose manifest is gone')
      await test.rejects(run('rm', 'ocp_4.5_base'), { message: /^ocp_4.5_base is not in the cache/ })
    }
  },
)

await t.test('rm: a proxy runs on the directory', async (test) => {
  const { directory, image, other, lines, run } = await setUp(test)
  const storage = openStorage({ directory, maxBytes: 1_000_000_000, observe })
  const removed: Removal[] = []
  let report: RemovalReport = { s3: undefined }
  const remove = async (removal: Removal) => {
    removed.push(removal)
    return await Promise.resolve(report)
  }
  const inbox = new RemovalInbox({ root: directory, remove, warning: () => undefined })
  test.notOk(await run('rm', digestOf(other)), 'it does not answer')
  test.match(lines.at(-1), /^The proxy that runs on the directory does not answer: restart it/)

  const looking = setInterval(() => void inbox.look(), 1)
  test.ok(await run('rm', 'ocp_4.5_base'))
  test.equal(lines.at(-1), 'The running proxy has forgotten them.')
  test.strictSame(removed.at(-1)?.tags, ['ocp_4.5_base'])
  test.equal(new Set(removed.at(-1)?.digests).size, image.blobs.size + 3)
  report = { s3: { removed: 3, failed: 0 } }
  test.ok(await run('rm', image.digest), 'it may be in S3')
  test.equal(lines.at(-1), 'S3: 3 objects removed')
  test.strictSame(removed.at(-1), { digests: [image.digest], tags: [] })
  report = { s3: { removed: 3, failed: 1 } }
  test.notOk(await run('rm', image.digest))
  test.equal(lines.at(-1), 'S3: 3 objects removed, 1 could not be removed; try again')
  await test.rejects(run('rm', 'ocp_4.5_unknown'), { message: /is not in the cache/ })
  clearInterval(looking)
  await inbox.close()
  await storage.close()
})

await t.test('rm: no proxy runs, and the bucket is given', async (test) => {
  const { directory, image, lines } = await setUp(test)
  const s3 = await startS3(test)
  const run = async (target: string) =>
    await cacheCommand({
      action: 'rm',
      directory,
      target,
      print: (line) => void lines.push(line),
      maxWaitMs: 1,
      bucket: {
        location: { bucket, prefix: 'p' },
        cacheS3Endpoint: s3.url,
        cacheS3Region: undefined,
        cacheS3Addressing: 'auto',
        credentials: s3Credentials,
        s3Ca: undefined,
      },
    })
  for (const digest of image.blobs.keys()) s3.objects.set(objectKey('p', 'blobs', digest), Buffer.from('b'))
  for (const { digest } of image.manifests)
    s3.objects.set(objectKey('p', 'manifests', digest), Buffer.from('m'))
  const count = s3.objects.size
  s3.fault({ method: 'DELETE', status: 403 })
  test.notOk(await run('ocp_4.5_base'))
  test.strictSame(lines.slice(-2), [
    'S3 fails: Broken 403',
    `S3: ${count - 1} objects removed, 1 could not be removed; try again`,
  ])
  for (const digest of [...image.blobs.keys(), ...image.manifests.map(({ digest: of }) => of)])
    test.ok(await run(digest), 'it may be in S3 alone')
  test.equal(s3.objects.size, 0)
  const storage = openStorage({ directory, maxBytes: 1_000_000_000, observe })
  test.notOk(await run(image.digest), 'a proxy runs, and does not answer')
  test.match(lines.slice(-2), [/^The proxy that runs .* does not answer/, 'S3: 0 objects removed'])
  await storage.close()
  test.notOk(lines.some((line) => line.includes(s3Credentials.secretAccessKey)))
})

await t.test('a manifest that cannot be read goes alone', async (test) => {
  const { directory, image, lines, run } = await setUp(test)
  const [{ digest, mediaType, body }] = image.manifests as [(typeof image.manifests)[0]]
  put(directory, 'manifests', digest, Buffer.alloc(encodeDocument({ mediaType, content: body })!.length))
  await run('rm', digest)
  test.equal(lines.length, 2)
})

await t.test('a directory that is no cache', async (test) => {
  const directory = freshDirectory(test)
  await test.rejects(
    cacheCommand({ action: 'stats', directory, target: undefined, print: () => undefined }),
    { message: /is not a cache/ },
  )
})
