import t, { type Test } from 'tap'
import { S3Tier, type S3TierOptions } from '../../../src/storage/s3/s3-tier.ts'
import { startS3 } from '../../support/s3-server.ts'
import { until } from '../../support/until.ts'
import { staying } from '../../concurrency/fake-clock.ts'
import { inChunks, noted, storeFor } from './fixtures.ts'

const content = Buffer.from('the bytes of a blob')
const hex = '12'.repeat(32)
const digest = `sha256:${hex}`
const key = `blobs/sha256/12/${hex}`

const fetching = async (url: URL, signal: AbortSignal) => {
  const response = await fetch(url, { signal })
  return { statusCode: response.status, body: { discard: async () => await response.body?.cancel() } }
}

const setUp = async (test: Test, options: Partial<S3TierOptions> = {}) => {
  staying(test)
  const s3 = await startS3(test)
  const { observe, told } = noted()
  const clock = { now: 1 }
  const tier = new S3Tier({
    prefix: '',
    openStore: async () => await storeFor(test, s3),
    source: {
      open: async () => ({ size: content.length, chunks: inChunks(content), close: async () => undefined }),
    },
    observe,
    deadlineMs: 10_000,
    now: () => clock.now,
    ...options,
  })
  return { s3, told, clock, tier }
}

await t.test(
  'an object that is not there is asked for once in ten seconds, not for each request',
  async (test) => {
    const { s3, clock, tier } = await setUp(test)
    await tier.start()
    test.equal(await tier.get('blobs', digest, fetching), undefined)
    test.equal(await tier.get('blobs', digest, fetching), undefined)
    test.equal(await tier.sizeOf('blobs', digest), undefined)
    test.equal(s3.requests.length, 1)
    s3.objects.set(key, content)
    clock.now += 10_001
    test.equal(
      (await tier.get('blobs', digest, fetching))?.statusCode,
      200,
      'another replica has uploaded it',
    )
    await tier.close()
  },
)

await t.test('the size is requested once for all callers, and cached for a minute', async (test) => {
  const { s3, clock, tier } = await setUp(test)
  await tier.start()
  s3.objects.set(key, content)
  const sizes = await Promise.all([1, 2, 3].map(async () => await tier.sizeOf('blobs', digest)))
  test.strictSame(sizes, [content.length, content.length, content.length])
  test.equal(s3.requests.length, 1)
  clock.now += 60_001
  test.equal(await tier.sizeOf('blobs', digest), content.length)
  test.equal(s3.requests.length, 2)
  s3.objects.clear()
  clock.now += 60_001
  test.equal(await tier.sizeOf('blobs', digest), undefined)
  await tier.close()
})

await t.test('a client gets a URL only for an existing object', async (test) => {
  const { s3, tier } = await setUp(test)
  await tier.start()
  test.equal(await tier.urlOf('blobs', digest), undefined)
  tier.found('blobs', digest, content.length)
  s3.objects.set(key, content)
  const url = await tier.urlOf('blobs', digest)
  test.equal(await (await fetch(url!)).text(), content.toString())
  await tier.close()
})

await t.test('S3 that fails is bypassed, and no one gets its errors', async (test) => {
  const { s3, told, tier } = await setUp(test)
  await tier.start()
  s3.objects.set(key, content)
  s3.fault({ status: 500, count: 20 })
  for (const _ of [1, 2, 3]) test.equal(await tier.get('blobs', digest, fetching), undefined)
  test.equal(await tier.sizeOf('blobs', digest), undefined)
  test.ok(tier.stats().isOpen)
  tier.found('blobs', digest, content.length)
  test.equal(await tier.urlOf('blobs', digest), undefined, 'no client is sent there')
  test.ok(told.includes('open'))
  await tier.close()
})

await t.test('no credentials: no URL', async (test) => {
  const { tier } = await setUp(test, {
    openStore: async () => await Promise.reject(new Error('no region')),
    deadlineMs: 20,
  })
  await test.rejects(tier.start(), { message: 'no region' })
  tier.found('blobs', digest, content.length)
  test.equal(await tier.urlOf('blobs', digest), undefined)
  await tier.close()
})

await t.test('a wrong object is removed, and replaced by the bytes on the disk', async (test) => {
  const { s3, told, tier } = await setUp(test)
  await tier.start()
  s3.objects.set(key, Buffer.from('wrong'))
  tier.wrong('blobs', digest, 'digest')
  test.equal(await tier.get('blobs', digest, fetching), undefined)
  await until(() => s3.objects.size === 0)
  tier.offer('blobs', digest, 'alice')
  test.equal(tier.stats().uploads, 1)
  await until(() => s3.objects.has(key))
  await until(() => tier.stats().uploads === 0)
  test.equal((await tier.get('blobs', digest, fetching))?.statusCode, 200)
  test.ok(told.includes('blobs corrupt digest'))
  s3.fault({ status: 403 })
  tier.wrong('blobs', digest, 'digest')
  await until(() => told.includes('delete refused'))
  await tier.close()
})

await t.test('an operator removes an object, also while it is uploaded', async (test) => {
  const { s3, told, tier } = await setUp(test)
  await tier.start()
  test.equal(await tier.purge('blobs', digest), 'absent')
  s3.objects.set(key, content)
  tier.found('blobs', digest, content.length)
  test.equal(await tier.purge('blobs', digest), 'removed')
  test.equal(s3.objects.size, 0)
  test.equal(await tier.sizeOf('blobs', digest), undefined, 'it is known to be gone')
  const held = Promise.withResolvers<void>()
  s3.fault({ method: 'PUT', until: held.promise })
  tier.offer('blobs', digest, 'alice')
  await until(() => s3.requests.some((request) => request.startsWith('PUT')))
  test.equal(await tier.purge('blobs', digest), 'absent')
  test.ok(told.includes('blobs cancelled 0'))
  held.resolve()
  s3.fault({ method: 'HEAD', status: 403 })
  test.equal(await tier.purge('blobs', digest), 'failed')
  await tier.close()
})

await t.test('by the clock of the machine', async (test) => {
  staying(test)
  const s3 = await startS3(test)
  const { observe, told } = noted()
  const source = { open: async () => await Promise.resolve(undefined) }
  const tier = new S3Tier({ prefix: '', openStore: async () => await storeFor(test, s3), source, observe })
  await tier.start()
  test.equal(await tier.sizeOf('blobs', digest), undefined)
  tier.offer('blobs', digest, 'alice')
  await until(() => told.includes('blobs gone 0'))
  await tier.close()
})
