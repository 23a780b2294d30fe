import t, { type Test } from 'tap'
import { S3Circuit } from '../../../src/storage/s3/s3-circuit.ts'
import { S3Refused, S3Unavailable } from '../../../src/storage/s3/s3-errors.ts'
import { S3Requests } from '../../../src/storage/s3/s3-requests.ts'
import type { ObjectStore } from '../../../src/storage/s3/object-store.ts'
import { startS3 } from '../../support/s3-server.ts'
import { until } from '../../support/until.ts'
import { failureOf, noted, storeFor } from './fixtures.ts'

/** By a client that takes the whole body. */
const fetching = async (url: URL, signal: AbortSignal) => {
  const response = await fetch(url, { signal })
  return {
    statusCode: response.status,
    text: async () => await response.text(),
    body: { discard: async () => await response.body?.cancel() },
  }
}

const setUp = async (test: Test, deadlineMs = 10_000, store?: Promise<ObjectStore>) => {
  const s3 = await startS3(test)
  const { observe, told } = noted()
  const circuit = new S3Circuit({ onChange: observe.circuit, now: () => performance.now() })
  const opened = store ?? Promise.resolve(await storeFor(test, s3))
  return { s3, told, circuit, requests: new S3Requests({ store: opened, circuit, observe, deadlineMs }) }
}

await t.test('an object, one that is not there, and one that S3 does not give', async (test) => {
  const { s3, told, requests } = await setUp(test)
  s3.objects.set('a', Buffer.from('bytes'))
  test.equal(await (await requests.get('a', fetching, undefined))?.text(), 'bytes')
  test.equal(await requests.get('b', fetching, undefined), undefined)
  s3.fault({ status: 403 })
  test.type(await failureOf(requests.get('a', fetching, undefined)), S3Refused)
  s3.fault({ status: 503 })
  test.type(await failureOf(requests.get('a', fetching, undefined)), S3Unavailable)
  test.strictSame(told, ['get found', 'get absent', 'get refused', 'get failed'])
})

await t.test('sizes, and removals', async (test) => {
  const { s3, told, requests } = await setUp(test)
  s3.objects.set('a', Buffer.from('bytes'))
  test.equal(await requests.sizeOf('a'), 5)
  test.equal(await requests.sizeOf('b'), undefined)
  s3.fault({ status: 403 })
  test.type(await failureOf(requests.sizeOf('a')), S3Refused)
  s3.fault({ status: 500, count: 2 })
  test.type(await failureOf(requests.sizeOf('a')), S3Unavailable, 'the SDK has tried twice')
  await requests.remove('a')
  test.strictSame(told, ['head found', 'head absent', 'head refused', 'head failed', 'delete found'])
})

await t.test('S3 does not answer in time; then no more requests are sent', async (test) => {
  const { s3, told, circuit, requests } = await setUp(test, 300)
  s3.fault({ hangs: true, count: 3 })
  await Promise.all(
    ['a', 'b', 'c'].map(async (key) => await failureOf(requests.get(key, fetching, undefined))),
  )
  test.ok(circuit.isOpen)
  test.match(await failureOf(requests.get('d', fetching, undefined)), { name: 'S3CircuitOpen' })
  test.strictSame(told.toSorted(), ['get circuit-open', 'get failed', 'get failed', 'get failed', 'open'])
  test.equal(s3.requests.length, 3)
})

await t.test('the answer of a probe is discarded', async (test) => {
  const { s3, circuit, requests } = await setUp(test, 300)
  s3.objects.set('a', Buffer.from('bytes'))
  s3.fault({ hangs: true, count: 3 })
  await Promise.all(
    ['a', 'b', 'c'].map(async (key) => await failureOf(requests.get(key, fetching, undefined))),
  )
  let discarded = 0
  const counting = async (url: URL, signal: AbortSignal) => {
    const reply = await fetching(url, signal)
    return { ...reply, body: { discard: async () => void (discarded += 1) } }
  }
  await until(async () => {
    await failureOf(requests.get('a', counting, AbortSignal.abort()))
    return !circuit.isOpen
  })
  test.equal(discarded, 1, 'and it does not end with its caller')
})

await t.test('a caller that leaves is no failure of S3', async (test) => {
  const { s3, told, requests } = await setUp(test)
  s3.fault({ hangs: true })
  const caller = new AbortController()
  const got = failureOf(requests.get('a', fetching, caller.signal))
  await until(() => s3.requests.length === 1)
  const reason = new Error('left')
  caller.abort(reason)
  test.equal(await got, reason)
  test.strictSame(told, ['get cancelled'])
})

await t.test('no store yet, no credentials: the deadline is for these as well', async (test) => {
  const never = new Promise<ObjectStore>(() => undefined)
  const { told, requests } = await setUp(test, 20, never)
  for (const failed of [
    requests.get('a', fetching, undefined),
    requests.sizeOf('a'),
    requests.signedUrl('a'),
    requests.remove('a'),
  ])
    test.type(await failureOf(failed), S3Unavailable)
  test.strictSame(told.toSorted(), ['delete failed', 'get failed', 'head failed'])
})

await t.test('a connection that fails', async (test) => {
  const { told, requests } = await setUp(test)
  const broken = async (): Promise<never> => await Promise.reject(new Error('ECONNRESET'))
  test.type(await failureOf(requests.get('a', broken, undefined)), S3Unavailable)
  test.strictSame(told, ['get failed'])
})
