import t from 'tap'
import { purgeAll, purgeFrom } from '../../../src/storage/s3/purge.ts'
import { objectKey } from '../../../src/storage/s3/object-key.ts'
import { startS3 } from '../../support/s3-server.ts'
import { digestOf } from '../fixtures.ts'
import { storeFor } from './fixtures.ts'

const [blob, manifest, absent] = ['blob', 'manifest', 'absent'].map((text) =>
  digestOf(Buffer.from(text)),
) as [string, string, string]

await t.test('the objects of digests are removed, and a failure is counted', async (test) => {
  const s3 = await startS3(test)
  const store = await storeFor(test, s3)
  const keys = [objectKey('p', 'blobs', blob), objectKey('p', 'manifests', manifest)]
  for (const key of keys) s3.objects.set(key, Buffer.from('content'))
  s3.objects.set(objectKey('', 'blobs', blob), Buffer.from('of another prefix'))
  const errors: unknown[] = []
  const purge = purgeFrom({ store, prefix: 'p', onError: (error) => void errors.push(error) })
  s3.fault({ method: 'DELETE', status: 403 })
  const digests = [blob, manifest, absent]
  test.strictSame(await purgeAll(digests, purge), { removed: 1, failed: 1 })
  test.equal(errors.length, 1)
  test.strictSame(await purgeAll(digests, purge), { removed: 1, failed: 0 })
  test.strictSame(await purgeAll(digests, purge), { removed: 0, failed: 0 })
  test.equal(s3.objects.size, 1)
  const late = purgeFrom({ store, prefix: 'p', onError: (error) => void errors.push(error), deadlineMs: 1 })
  s3.fault({ hangs: true })
  test.equal(await late('blobs', blob), 'failed')
})
