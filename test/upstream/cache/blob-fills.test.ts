import t, { type Test } from 'tap'
import { BlobFills, FillsTaken } from '../../../src/upstream/cache/blob-fills.ts'
import { failing } from '../../storage/fixtures.ts'
import { bytesOf, digestOf } from '../../storage/fixtures.ts'
import { until } from '../../support/until.ts'
import type { Digest } from '../../../src/oci/reference.ts'
import { allOf, cacheFor, requestFor, scriptedUpstream, type CacheSetUp } from './scripted-upstream.ts'

const content = bytesOf(300_000)
const digest = digestOf(content) as Digest

const setUp = (test: Test, disk: Parameters<typeof cacheFor>[2] = {}, maxFills = 4) => {
  const cache: CacheSetUp = cacheFor(test, scriptedUpstream(content), disk)
  const { open, requests, unread } = cache.upstream
  const fills = new BlobFills({
    open,
    s3: undefined,
    sizeOf: () => undefined,
    maxFills,
    blobs: cache.storage.blobs,
  })
  return { ...cache, fills, requests, unread }
}

await t.test(
  'one fill for all that want it at a time; it is no fill any more when it has ended',
  async (test) => {
    const { fills, requests, ended } = setUp(test)
    const begun = await Promise.all(
      [1, 2, 3].map(async () => {
        const { answer, source } = await fills.begin(requestFor(content))
        if ('fill' in answer) answer.fill.enter()
        return { source, answer }
      }),
    )
    test.strictSame(
      begun.map(({ source }) => source),
      ['live', 'shared', 'shared'],
    )
    await until(() => ended('stored') === 1)
    await until(() => fills.running(digest) === undefined)
    test.strictSame(requests, ['GET'])
  },
)

await t.test(
  'a disk that cannot be written to: the requester that started the fill gets the blob',
  async (test) => {
    const { fills, unread } = setUp(test, { disk: { create: failing('EROFS') } })
    const { answer } = await fills.begin(requestFor(content))
    test.ok('blob' in answer && (await allOf(answer.blob)).equals(content))
    const gone = AbortSignal.abort()
    await test.rejects(fills.begin(requestFor(content, { signal: gone })))
    await until(() => unread() === 0)
  },
)

await t.test('the number of fills of one requester is limited', async (test) => {
  const { fills } = setUp(test, {}, 0)
  const refused: unknown = await fills.begin(requestFor(content)).catch((error: unknown) => error)
  test.type(refused, FillsTaken)
})

await t.test('upstream breaks off, or sends other bytes: the fill is over', async (test) => {
  const { fills, upstream, ended } = setUp(test)
  const wrong = Buffer.from(content)
  wrong[5] = 255
  for (const [script, outcome] of [
    [{ cutAt: 200_000 }, 'failed'],
    [{ content: wrong }, 'wrong'],
  ] as const) {
    upstream.scripts.push(script)
    const { answer } = await fills.begin(requestFor(content))
    if ('fill' in answer) answer.fill.enter()
    await until(() => ended(outcome) === 1)
    await until(() => fills.running(digest) === undefined)
    test.ok('fill' in answer && answer.fill.signal.aborted, outcome)
  }
})
