import t from 'tap'
import { openObjectStore } from '../../../src/storage/s3/object-store.ts'
import { statusOf } from '../../../src/storage/s3/s3-errors.ts'
import { startS3 } from '../../support/s3-server.ts'
import { selfSigned } from '../../support/tls.ts'
import { until } from '../../support/until.ts'
import { bytesOf } from '../fixtures.ts'
import { failureOf, inChunks, storeFor } from './fixtures.ts'

const refused = (error: unknown): boolean => statusOf(error) === 403
const never = () => new AbortController().signal

await t.test('a signed URL opens one object, and holds no secret key', async (test) => {
  const s3 = await startS3(test)
  const store = await storeFor(test, s3)
  s3.objects.set('a/b', Buffer.from('bytes'))
  const url = await store.urlOf('a/b', 60)
  test.equal(url.pathname, '/cache-of-tests/a/b')
  test.equal(url.searchParams.get('X-Amz-Expires'), '60')
  test.equal(url.searchParams.get('X-Amz-SignedHeaders'), 'host')
  test.notMatch(url.href, 'the-secret-key')
  test.equal(await (await fetch(url)).text(), 'bytes')
})

await t.test('the bucket in the host name', async (test) => {
  const s3 = await startS3(test)
  const store = await storeFor(test, s3, {
    isPathStyle: false,
    endpoint: new URL('https://store.example.org'),
  })
  test.equal((await store.urlOf('a', 60)).host, 'cache-of-tests.store.example.org')
  const aws = await storeFor(test, s3, { isPathStyle: false, endpoint: undefined, region: 'eu-west-3' })
  test.equal((await aws.urlOf('a', 60)).host, 'cache-of-tests.s3.eu-west-3.amazonaws.com')
})

await t.test('credentials are read for each request: they may have been renewed', async (test) => {
  const s3 = await startS3(test)
  let accessKeyId = 'FIRST'
  const store = await storeFor(test, s3, {
    credentials: () => ({ accessKeyId, secretAccessKey: 's', sessionToken: 'token' }),
  })
  test.match((await store.urlOf('a', 60)).href, /Credential=FIRST/)
  accessKeyId = 'SECOND'
  test.match((await store.urlOf('a', 60)).href, /Credential=SECOND.*Security-Token=token/)
})

await t.test('the size of an object, and its removal', async (test) => {
  const s3 = await startS3(test)
  const store = await storeFor(test, s3)
  s3.objects.set('a', bytesOf(700))
  test.equal(await store.sizeOf('a', never()), 700)
  test.equal(await store.sizeOf('b', never()), undefined)
  s3.fault({ status: 403 })
  test.ok(refused(await failureOf(store.sizeOf('a', never()))))
  await store.remove('a', never())
  test.equal(s3.objects.size, 0)
})

await t.test('a small object is one request, a large one several', async (test) => {
  const s3 = await startS3(test)
  const store = await storeFor(test, s3)
  const [small, large] = [bytesOf(700), bytesOf(12_000_000)]
  await store.put('small', small.length, inChunks(small), never())
  await store.put('large', large.length, inChunks(large), never())
  test.strictSame(s3.requests, [
    'PUT small',
    'POST large?uploads',
    'PUT large?part=1',
    'PUT large?part=2',
    'PUT large?part=3',
    'POST large?complete',
  ])
  test.ok(s3.objects.get('small')?.equals(small))
  test.ok(s3.objects.get('large')?.equals(large))
  test.ok(s3.authorizations.every((line) => !line.includes('the-secret-key')))
})

await t.test('the clock of this machine is wrong: signed URLs have the time of S3', async (test) => {
  const s3 = await startS3(test)
  const store = await storeFor(test, s3)
  const signedAt = async () => (await store.urlOf('a', 60)).searchParams.get('X-Amz-Date')?.slice(0, 8)
  test.not(await signedAt(), '20400303')
  s3.objects.set('a', bytesOf(7))
  s3.fault({ headers: { date: 'Sat, 03 Mar 2040 10:00:00 GMT' } })
  await store.sizeOf('a', never())
  test.equal(await signedAt(), '20400303')
})

await t.test('an upload that fails, or whose bytes are wrong, leaves no parts', async (test) => {
  const s3 = await startS3(test)
  const store = await storeFor(test, s3)
  const large = bytesOf(12_000_000)
  s3.fault({ method: 'PUT', status: 403 })
  test.ok(refused(await failureOf(store.put('a', large.length, inChunks(large), never()))))
  const wrong = async function* () {
    yield* inChunks(large)
    throw new Error('wrong digest')
  }
  await test.rejects(store.put('a', large.length, wrong(), never()), { message: 'wrong digest' })
  test.equal(s3.uploads.size, 0)
  test.equal(s3.objects.size, 0)
  test.equal(s3.requests.filter((line) => line === 'PUT a?part=1').length, 2, 'the rest is not sent in vain')
})

await t.test(
  'an upload that is given up ends at once, also if S3 hangs, and its parts are removed',
  async (test) => {
    const s3 = await startS3(test)
    const store = await storeFor(test, s3)
    const large = bytesOf(12_000_000)
    const end = new AbortController()
    s3.fault({ method: 'PUT', hangs: true })
    const put = store.put('a', large.length, inChunks(large), end.signal)
    await until(() => s3.requests.includes('PUT a?part=1'))
    end.abort(new Error('the end'))
    await test.rejects(put)
    test.equal(s3.uploads.size, 0)
    test.match(s3.requests.at(-1), /^DELETE a/)
  },
)

await t.test('without a region it cannot start; authorities of a store', async (test) => {
  const s3 = await startS3(test)
  const { AWS_REGION, AWS_CONFIG_FILE } = process.env
  delete process.env['AWS_REGION']
  process.env['AWS_CONFIG_FILE'] = '/absent'
  test.teardown(() => {
    if (AWS_REGION !== undefined) process.env['AWS_REGION'] = AWS_REGION
    if (AWS_CONFIG_FILE === undefined) delete process.env['AWS_CONFIG_FILE']
    else process.env['AWS_CONFIG_FILE'] = AWS_CONFIG_FILE
  })
  await test.rejects(storeFor(test, s3, { region: undefined }), { message: /^--cache-s3 has no region/ })
  const ca = selfSigned().cert.toString()
  const options = {
    bucket: 'cache',
    endpoint: undefined,
    region: 'x',
    isPathStyle: false,
    ca,
    credentials: undefined,
    userAgent: 'quay-proxy/0.0.0',
  }
  const store = await openObjectStore(options)
  store.close()
})
