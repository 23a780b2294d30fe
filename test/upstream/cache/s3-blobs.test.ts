/**
 * Blobs over a real socket to a small S3: existing and missing objects, and failures.
 */
import t, { type Test } from 'tap'
import { objectKey } from '../../../src/storage/s3/object-key.ts'
import { S3Tier } from '../../../src/storage/s3/s3-tier.ts'
import { createUploadSource } from '../../../src/storage/s3/upload-source.ts'
import { S3Blobs, type S3BlobsOptions } from '../../../src/upstream/cache/s3-blobs.ts'
import { createBlobCache } from '../../../src/upstream/cache/blob-cache.ts'
import { createS3Network } from '../../../src/upstream/client/s3-network.ts'
import { noted, storeFor } from '../../storage/s3/fixtures.ts'
import type { Disk } from '../../../src/storage/disk.ts'
import { bytesOf, digestOf, failing } from '../../storage/fixtures.ts'
import { startS3 } from '../../support/s3-server.ts'
import { until } from '../../support/until.ts'
import { allOf, cacheFor, reading, requestFor, scriptedUpstream } from './scripted-upstream.ts'

const content = bytesOf(300_000)
const digest = digestOf(content)
const small = bytesOf(5000)
const key = objectKey('p', 'blobs', digest)

/** A cache on a disk over S3 over a scripted upstream. */
const setUp = async (
  test: Test,
  options: Partial<S3BlobsOptions> = {},
  maxFills = 256,
  calls: Partial<Disk> = {},
) => {
  const s3 = await startS3(test)
  const upstream = scriptedUpstream(content, small)
  const disk = cacheFor(test, upstream, { disk: calls })
  const { observe, told } = noted()
  const tier = new S3Tier({
    prefix: 'p',
    openStore: async () => await storeFor(test, s3),
    source: createUploadSource(disk.storage),
    observe,
    deadlineMs: 10_000,
  })
  await tier.start()
  const network = createS3Network({ ca: undefined, maxConnections: 64 })
  test.teardown(async () => await Promise.all([tier.close(), network.close()]))
  const read: string[] = []
  const blobs = new S3Blobs({
    tier,
    roundTrip: network.roundTrip,
    open: upstream.open,
    sizeOf: () => undefined,
    delivery: 'stream',
    observe: { read: (bytes, isBroken) => void read.push(`${bytes}${isBroken ? ' broken' : ''}`) },
    ...options,
  })
  const served: string[] = []
  const open = createBlobCache({
    open: upstream.open,
    storage: disk.storage,
    s3: blobs,
    sizeOf: () => undefined,
    observe: { served: (by) => void served.push(by), sent: () => undefined },
    maxFills,
  })
  return { s3, upstream, tier, told, read, served, open, disk, blobs }
}

await t.test('a blob that S3 has is not requested from upstream, and is stored on the disk', async (test) => {
  const { s3, upstream, read, served, open, disk } = await setUp(test)
  s3.objects.set(key, content)
  const blobs = await Promise.all([1, 2, 3].map(async () => await open(requestFor(content))))
  for (const blob of blobs) {
    test.match(blob, { status: 200, headers: { etag: `"${digest}"`, 'content-length': '300000' } })
    test.ok((await allOf(blob)).equals(content))
  }
  await until(() => disk.ended('stored') === 1)
  test.ok((await allOf(await open(requestFor(content)))).equals(content))
  test.strictSame(served.toSorted(), ['disk', 's3', 'shared', 'shared'])
  test.strictSame(read, ['300000'])
  test.strictSame(upstream.requests, [])
  test.strictSame(s3.requests, [`GET ${key}`], 'and it is not uploaded again')
})

await t.test('a blob that S3 does not have is filled from upstream, and uploaded once', async (test) => {
  const { s3, upstream, served, open, tier } = await setUp(test)
  test.ok((await allOf(await open(requestFor(content)))).equals(content))
  await until(() => s3.objects.has(key))
  await until(() => tier.stats().uploads === 0)
  test.ok(s3.objects.get(key)?.equals(content))
  await allOf(await open(requestFor(content)))
  test.strictSame(served, ['live', 'disk'])
  test.strictSame(upstream.requests, ['GET'])
  test.strictSame(
    s3.requests.filter((line) => !line.startsWith('GET')),
    [`HEAD ${key}`, `PUT ${key}`],
  )
})

await t.test(
  'a blob that was on the disk before S3 was configured is uploaded when it is served',
  async (test) => {
    const { s3, open, disk } = await setUp(test)
    await allOf(await disk.open(requestFor(content)))
    await until(() => disk.ended('stored') === 1)
    test.equal(s3.requests.length, 0)
    await allOf(await open(requestFor(content)))
    await until(() => s3.objects.has(key))
  },
)

await t.test('HEAD and ranges from S3 fill nothing', async (test) => {
  const { s3, upstream, served, open, disk } = await setUp(test)
  s3.objects.set(key, content)
  test.match(await open(requestFor(content, { method: 'HEAD' })), {
    status: 200,
    headers: { 'content-length': '300000' },
    body: undefined,
  })
  for (const [range, start, end] of [
    ['bytes=5-9', 5, 10],
    ['bytes=299990-', 299_990, 300_000],
    ['bytes=-5', 299_995, 300_000],
    ['bytes=299990-999999', 299_990, 300_000],
  ] as const) {
    const blob = await open(requestFor(content, { range }))
    test.match(blob, { status: 206, headers: { 'content-range': `bytes ${start}-${end - 1}/300000` } })
    test.ok((await allOf(blob)).equals(content.subarray(start, end)), range)
  }
  test.strictSame(upstream.requests, [])
  test.strictSame(served, ['s3', 's3', 's3', 's3', 's3'])
  test.equal(disk.storage.blobs.stats().entries, 0)
})

await t.test(
  'trap 35: several ranges are as many GETs; too many, and those outside, are for upstream',
  async (test) => {
    const { s3, upstream, served, open } = await setUp(test)
    s3.objects.set(key, content)
    const partsOf = async (range: string) => {
      const blob = await open(requestFor(content, { range }))
      const [, boundary = ''] = /boundary=(\w+)$/.exec(blob.headers['content-type'] ?? '') ?? []
      const bytes = await allOf(blob)
      test.equal(blob.headers['content-length'], `${bytes.length}`)
      const parts = bytes.toString('latin1').split(`\r\n--${boundary}`).slice(1, -1)
      return parts.map((part) => part.slice(part.indexOf('\r\n\r\n') + 4))
    }
    const wanted = [content.subarray(1, 3), content.subarray(200_000, 290_000), content.subarray(-3)]
    const texts = wanted.map((part) => part.toString('latin1'))
    test.strictSame(await partsOf('bytes=1-2,200000-289999,-3'), texts)
    test.strictSame(served, ['s3'])
    test.strictSame(
      s3.requests.filter((line) => line.startsWith('GET')),
      ['1-2', '200000-289999', '299997-299999'].map((range) => `GET ${key} bytes=${range}`),
    )
    test.strictSame(upstream.requests, [])

    let gets = 0
    s3.fault({ method: 'GET', status: 500, when: () => ++gets === 2 })
    test.strictSame(await partsOf('bytes=1-2,200000-289999,-3'), texts, 'a part that S3 does not send')
    test.strictSame(upstream.requests, ['GET bytes=200000-289999'])

    const many = Array.from({ length: 17 }, (_, index) => `${2 * index}-${2 * index}`).join()
    for (const range of [`bytes=${many}`, 'bytes=0-299999,0-1', 'bytes=300000-', 'bytes=300000-,300001-'])
      await (await open(requestFor(content, { range }))).body?.discard()
    await open(requestFor(content, { range: 'bytes=300000-', method: 'HEAD' }))
    test.equal(upstream.requests.length, 6)
    await (await open(requestFor(content, { range: 'bytes=1-2,5-6' }))).body?.discard()
    test.equal(upstream.requests.length, 6)
    await (await open(requestFor(small, { range: 'bytes=1-2,5-6' }))).body?.discard()
    test.equal(upstream.requests.length, 7, 'S3 does not have it')
  },
)

await t.test('attack: S3 sends wrong bytes for a range that is the whole blob', async (test) => {
  const { s3, open } = await setUp(test)
  s3.objects.set(key, Buffer.alloc(content.length))
  const blob = await open(requestFor(content, { range: 'bytes=0-', priority: 'background' }))
  test.equal(blob.status, 206)
  const client = reading(blob)
  await test.rejects(client.done, { code: 'UNAVAILABLE' })
  test.ok(client.bytes().length < content.length)
})

await t.test('a store that does not know ranges', async (test) => {
  const { s3, upstream, open } = await setUp(test)
  s3.objects.set(key, content)
  s3.fault({ ignoresRange: true })
  test.ok(
    (await allOf(await open(requestFor(content, { range: 'bytes=5-9' })))).equals(content.subarray(5, 10)),
  )
  test.strictSame(upstream.requests, ['GET bytes=5-9'])
})

await t.test(
  'after a break of S3 the blob continues at the same byte: first from S3, then from upstream',
  async (test) => {
    const { s3, upstream, read, open } = await setUp(test)
    s3.objects.set(key, content)
    s3.fault({ cutAt: 100_000 })
    test.ok((await allOf(await open(requestFor(content)))).equals(content))
    test.strictSame(upstream.requests, [])
    test.match(s3.requests[1], /^GET \S+ bytes=\d+-299999$/)
    test.strictSame(read, ['300000'])

    const second = await setUp(test)
    second.s3.objects.set(key, content)
    second.s3.fault({ cutAt: 50_000, count: 2 })
    test.ok((await allOf(await second.open(requestFor(content)))).equals(content))
    test.match(second.upstream.requests, [/^GET bytes=\d+-299999$/])
    test.match(second.read, [/^\d+ broken$/])
  },
)

await t.test('S3 that has something else for the rest', async (test) => {
  const { s3, upstream, open } = await setUp(test)
  s3.objects.set(key, content)
  s3.fault({ cutAt: 100_000 })
  s3.fault({ ignoresRange: true })
  test.ok((await allOf(await open(requestFor(content)))).equals(content))
  test.equal(upstream.requests.length, 1)

  const gone = await setUp(test)
  gone.s3.objects.set(key, content)
  gone.s3.fault({ cutAt: 100_000 })
  gone.s3.fault({ status: 404 })
  test.ok((await allOf(await gone.open(requestFor(content)))).equals(content))
  test.equal(gone.upstream.requests.length, 1)
})

await t.test('attack: wrong bytes of S3 are served to nobody as a whole, and are replaced', async (test) => {
  const { s3, upstream, told, open } = await setUp(test)
  const wrong = Buffer.from(content)
  wrong[150_000] = (wrong[150_000] as number) ^ 1
  s3.objects.set(key, wrong)
  const reader = reading(await open(requestFor(content)))
  await test.rejects(reader.done)
  test.ok(reader.bytes().length < content.length)
  test.ok(told.includes('blobs corrupt digest'))
  test.ok((await allOf(await open(requestFor(content)))).equals(content), 'the next try')
  await until(() => s3.objects.get(key)?.equals(content) === true)
  test.strictSame(upstream.requests, ['GET'])
})

await t.test('a small wrong blob is fetched again, unnoticed', async (test) => {
  const { s3, upstream, open, told } = await setUp(test)
  const smallKey = objectKey('p', 'blobs', digestOf(small))
  s3.objects.set(smallKey, Buffer.alloc(small.length))
  test.ok((await allOf(await open(requestFor(small)))).equals(small))
  test.ok(told.includes('blobs corrupt digest'))
  test.strictSame(upstream.requests, ['GET'])
  await until(() => s3.objects.get(smallKey)?.equals(small) === true)
})

await t.test('without a fill, the bytes of S3 are verified all the same', async (test) => {
  const { s3, upstream, told, open, served } = await setUp(test, {}, 0)
  s3.objects.set(key, content)
  test.ok((await allOf(await open(requestFor(content)))).equals(content))
  test.strictSame(served, ['s3'])
  s3.objects.set(key, Buffer.alloc(content.length))
  const reader = reading(await open(requestFor(content)))
  await test.rejects(reader.done, { code: 'UNAVAILABLE' })
  test.ok(reader.bytes().length < content.length)
  test.ok(told.includes('blobs corrupt digest'))
  await (await open(requestFor(content))).body?.discard()
  test.strictSame(upstream.requests, ['GET'])
})

await t.test('a disk that takes nothing: the bytes of S3 are verified all the same', async (test) => {
  const { s3, upstream, told, open, served } = await setUp(test, {}, 256, { create: failing('EROFS') })
  s3.objects.set(key, content)
  test.ok((await allOf(await open(requestFor(content)))).equals(content))
  test.strictSame(s3.requests, [`GET ${key}`])
  await (await open(requestFor(content))).body?.discard()
  test.strictSame(served, ['s3', 's3'])
  s3.objects.set(key, Buffer.alloc(content.length))
  await test.rejects(allOf(await open(requestFor(content))), { code: 'UNAVAILABLE' })
  test.ok(told.includes('blobs corrupt digest'))
  test.strictSame(upstream.requests, [])
})

await t.test('an object that S3 does not have costs one request', async (test) => {
  const { s3, open } = await setUp(test)
  await allOf(await open(requestFor(content, { range: 'bytes=5-9' })))
  await allOf(await open(requestFor(content, { range: 'bytes=5-9' })))
  test.strictSame(s3.requests, [`GET ${key} bytes=5-9`])
})

await t.test('a size that the manifest contradicts is not believed', async (test) => {
  const { s3, upstream, open } = await setUp(test, { sizeOf: () => 300_000 })
  s3.objects.set(key, content.subarray(0, 200_000))
  test.ok((await allOf(await open(requestFor(content)))).equals(content))
  test.strictSame(upstream.requests, ['GET'])
  await until(() => s3.objects.get(key)?.length === 300_000)
})

await t.test('HEAD: a size that the manifest contradicts is not believed', async (test) => {
  const { s3, upstream, open } = await setUp(test, { sizeOf: () => 300_000 })
  s3.objects.set(key, content.subarray(0, 200_000))
  await open(requestFor(content, { method: 'HEAD' }))
  test.strictSame(upstream.requests, ['HEAD'])
})

await t.test('encoded bytes, and an empty object, are no blob', async (test) => {
  const { s3, upstream, open } = await setUp(test)
  s3.objects.set(key, content)
  s3.fault({ headers: { 'content-encoding': 'gzip' } })
  test.ok((await allOf(await open(requestFor(content)))).equals(content))
  test.strictSame(upstream.requests, ['GET'])
  const empty = await setUp(test)
  empty.s3.objects.set(key, Buffer.alloc(0))
  test.ok((await allOf(await empty.open(requestFor(content)))).equals(content))
})

await t.test('more bodies than may be read at a time come from upstream', async (test) => {
  const { s3, upstream, open } = await setUp(test, { maxReads: 1 })
  s3.objects.set(key, content)
  const first = await open(requestFor(content, { range: 'bytes=1-200000' }))
  const second = await open(requestFor(content, { range: 'bytes=5-9' }))
  test.ok((await allOf(second)).equals(content.subarray(5, 10)))
  test.strictSame(upstream.requests, ['GET bytes=5-9'])
  await first.body?.discard()
  test.ok((await allOf(await open(requestFor(content, { range: 'bytes=5-9' })))).length === 5)
  test.equal(upstream.requests.length, 1)
})

await t.test('a client that leaves ends the read', async (test) => {
  const { s3, read, open } = await setUp(test)
  s3.objects.set(key, content)
  s3.fault({ stallAt: 100_000 })
  const left = new AbortController()
  const reader = reading(await open(requestFor(content, { range: 'bytes=1-', signal: left.signal })))
  await until(() => reader.bytes().length > 0)
  left.abort(new Error('left'))
  await test.rejects(reader.done)
  test.match(read, [/^\d+$/])
})

await t.test('a sink that fails is no reason to go on', async (test) => {
  const { s3, upstream, open } = await setUp(test, {}, 0)
  s3.objects.set(key, content)
  const { body } = await open(requestFor(content))
  const failed = new Error('the sink')
  await test.rejects(
    body!.pipeTo(() => {
      throw failed
    }),
    failed,
  )
  test.strictSame(upstream.requests, [])
})

await t.test(
  'redirect: a client is sent to what S3 has, and streamed what it does not have',
  async (test) => {
    const { s3, upstream, served, open } = await setUp(test, { delivery: 'redirect' })
    test.ok((await allOf(await open(requestFor(content)))).equals(content))
    await until(() => s3.objects.has(key))
    await until(async () => (await open(requestFor(content, { range: 'bytes=1-2' }))).status === 307)
    const { status, headers, body } = await open(requestFor(content))
    test.match(
      { status, headers, body },
      { status: 307, headers: { 'cache-control': 'no-store' }, body: undefined },
    )
    test.ok(Buffer.from(await (await fetch(headers['location']!)).arrayBuffer()).equals(content))
    test.equal((await open(requestFor(content, { method: 'HEAD' }))).status, 200)
    test.equal(served[0], 'live')
    test.ok(served.includes('redirected'))
    test.strictSame(upstream.requests, ['GET'])
  },
)
