import t from 'tap'
import { createS3Network } from '../../../src/upstream/client/s3-network.ts'
import { readBounded } from '../../../src/upstream/client/bounded-body.ts'
import { startS3 } from '../../support/s3-server.ts'
import { selfSigned } from '../../support/tls.ts'

await t.test('a GET to a signed URL, at a private address', async (test) => {
  const s3 = await startS3(test)
  s3.objects.set('a', Buffer.from('bytes'))
  const network = createS3Network({ ca: selfSigned().cert.toString(), maxConnections: 4 })
  const { signal } = new AbortController()
  const request = { kind: 'blob', method: 'GET', headers: {}, signal } as const
  const url = new URL('/cache-of-tests/a?X-Amz-Signature=x', s3.url)
  for (const _ of [1, 2]) {
    const reply = await network.roundTrip(url, request)
    test.equal(reply.statusCode, 200)
    test.equal((await readBounded(reply.body, 10)).toString(), 'bytes')
  }
  test.match(await network.roundTrip(new URL('/cache-of-tests/b', s3.url), request), { statusCode: 403 })
  await network.close()
})

await t.test('with the well-known authorities', async (test) => {
  const s3 = await startS3(test)
  const network = createS3Network({ ca: undefined, maxConnections: 4 })
  const { signal } = new AbortController()
  const url = new URL('/cache-of-tests/b?X-Amz-Signature=x', s3.url)
  const reply = await network.roundTrip(url, { kind: 'blob', method: 'GET', headers: {}, signal })
  test.equal(reply.statusCode, 404)
  await reply.body.discard()
  await network.close()
})

await t.test('one that was never used', async () => {
  await createS3Network({ ca: undefined, maxConnections: 4 }).close()
})
