import t, { type Test } from 'tap'
import { ObjectIndex } from '../../../src/storage/s3/object-index.ts'
import { S3Circuit } from '../../../src/storage/s3/s3-circuit.ts'
import { S3Requests } from '../../../src/storage/s3/s3-requests.ts'
import { UploadQueue } from '../../../src/storage/s3/upload-queue.ts'
import type { UploadSource } from '../../../src/storage/s3/upload-source.ts'
import { Uploads } from '../../../src/storage/s3/uploads.ts'
import { startS3 } from '../../support/s3-server.ts'
import { until } from '../../support/until.ts'
import { staying } from '../../concurrency/fake-clock.ts'
import { inChunks, noted, storeFor } from './fixtures.ts'

const content = Buffer.from('the bytes of a blob')
const hex = '12'.repeat(32)
const digest = `sha256:${hex}`
const key = `p/blobs/sha256/12/${hex}`

const setUp = async (test: Test, source?: UploadSource) => {
  staying(test)
  const s3 = await startS3(test)
  const { observe, told } = noted()
  let closed = 0
  const disk: UploadSource = source ?? {
    open: async () => ({
      size: content.length,
      chunks: inChunks(content),
      close: async () => void (closed += 1),
    }),
  }
  const store = storeFor(test, s3)
  const circuit = new S3Circuit({ onChange: observe.circuit, now: () => performance.now() })
  const requests = new S3Requests({ store, circuit, observe, deadlineMs: 10_000 })
  const index = new ObjectIndex(() => performance.now())
  const queue = new UploadQueue()
  const uploads = new Uploads({ prefix: 'p', store, requests, index, queue, source: disk, observe })
  const offered = async () => {
    uploads.offer('blobs', digest, 'alice')
    await until(() => queue.size === 0)
  }
  return { s3, told, index, queue, uploads, offered, closed: () => closed }
}

await t.test('an object is written once', async (test) => {
  const { s3, told, offered, closed } = await setUp(test)
  await offered()
  await offered()
  test.ok(s3.objects.get(key)?.equals(content))
  test.strictSame(s3.requests, [`HEAD ${key}`, `PUT ${key}`])
  test.strictSame(told, ['head absent', `blobs stored ${content.length}`])
  test.equal(closed(), 1)
})

await t.test('not if another replica has written it', async (test) => {
  const { s3, told, offered } = await setUp(test)
  s3.objects.set(key, content)
  await offered()
  test.strictSame(s3.requests, [`HEAD ${key}`])
  test.strictSame(told, ['head found', 'blobs present 0'])
})

await t.test('an object of another length is replaced, and so is one with wrong bytes', async (test) => {
  const { s3, told, index, offered } = await setUp(test)
  s3.objects.set(key, Buffer.from('cut'))
  await offered()
  test.ok(s3.objects.get(key)?.equals(content))
  test.ok(told.includes('blobs corrupt size'))
  s3.objects.set(key, Buffer.alloc(content.length))
  index.wrong(key)
  await offered()
  test.ok(s3.objects.get(key)?.equals(content))
  test.equal(s3.requests.filter((line) => line.startsWith('HEAD')).length, 1)
})

await t.test('after a refusal or a failure of S3, an object is not uploaded again at once', async (test) => {
  for (const [status, outcome] of [
    [403, 'refused'],
    [500, 'failed'],
  ] as const) {
    const { s3, told, offered } = await setUp(test)
    s3.fault({ method: 'PUT', status, count: 9 })
    await offered()
    await offered()
    test.strictSame(told, ['head absent', `blobs ${outcome} 0`])
    test.equal(s3.requests.filter((line) => line.startsWith('HEAD')).length, 1)
  }
})

await t.test('a blob that the disk does not have any more, and a disk that fails', async (test) => {
  const gone = await setUp(test, { open: async () => await Promise.resolve(undefined) })
  await gone.offered()
  test.strictSame(gone.told, ['blobs gone 0'])
  const broken = await setUp(test, { open: async () => await Promise.reject(new Error('the disk hangs')) })
  await broken.offered()
  test.strictSame(broken.told, ['blobs failed 0'])
})

await t.test('the end of the process, and more than may wait', async (test) => {
  const { s3, told, queue, uploads } = await setUp(test)
  s3.fault({ method: 'PUT', hangs: true, count: 9 })
  for (let number = 0; number < 10; number++)
    uploads.offer('manifests', `sha256:${`${number}`.repeat(64)}`, 'alice')
  await until(() => s3.requests.some((line) => line.startsWith('PUT')))
  await queue.close()
  test.ok(told.includes('manifests cancelled 0'))
  test.ok(told.includes('manifests dropped 0'))
})
