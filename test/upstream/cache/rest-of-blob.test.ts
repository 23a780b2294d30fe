import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import { TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { openRest } from '../../../src/upstream/cache/rest-of-blob.ts'
import { bytesOf } from '../../storage/fixtures.ts'
import { allOf, requestFor, scriptedUpstream } from './scripted-upstream.ts'

const content = bytesOf(300_000)
const request = requestFor(content, { range: 'bytes=0-1', ifRange: '"x"' })
const down = () => new TransientUpstreamError('UNAVAILABLE', 'down')

await t.test('the rest from an offset on, or all of it', async (test) => {
  const { open, requests } = scriptedUpstream(content)
  for (const start of [0, 100]) {
    const body = await openRest({ request, open }, { start, end: 300_000 }, 300_000)
    test.ok((await allOf({ status: 200, headers: {}, body })).equals(content.subarray(start)))
  }
  test.strictSame(requests, ['GET', 'GET bytes=100-299999'])
})

await t.test('a transient error of upstream is retried, a refusal is not', async (test) => {
  const { open, scripts, requests } = scriptedUpstream(content)
  scripts.push({ error: down() }, { error: down() })
  await (await openRest({ request, open }, { start: 5, end: 300_000 }, 300_000)).discard()
  test.equal(requests.length, 3)
  scripts.push({ error: new RegistryError('BLOB_UNKNOWN', 'gone') })
  await test.rejects(openRest({ request, open }, { start: 5, end: 300_000 }, 300_000), {
    code: 'BLOB_UNKNOWN',
  })
  test.equal(requests.length, 4)
})

await t.test('attack: bytes of another blob are not joined to the first half', async (test) => {
  const { open, scripts, unread } = scriptedUpstream(content)
  scripts.push({ content: bytesOf(400_000) })
  await test.rejects(openRest({ request, open }, { start: 5, end: 300_000 }, 300_000), {
    code: 'UNAVAILABLE',
  })
  test.equal(unread(), 0)
})

await t.test('until the patience of a client, or the client itself, is gone', async (test) => {
  const { open, scripts } = scriptedUpstream(content)
  const error = down()
  scripts.push({ error })
  let now = 0
  const clock = () => (now += 20_000)
  scripts.push({ error }, { error })
  await test.rejects(openRest({ request, open, now: clock }, { start: 5, end: 9 }, 300_000), error)
  scripts.length = 0
  scripts.push({ error })
  const gone = { ...request, signal: AbortSignal.abort() }
  await test.rejects(openRest({ request: gone, open }, { start: 5, end: 9 }, 300_000), error)
})
