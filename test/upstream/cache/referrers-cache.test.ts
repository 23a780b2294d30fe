import t from 'tap'
import { unavailable } from '../../../src/oci/errors.ts'
import { UpstreamRateLimited } from '../../../src/upstream/errors.ts'
import {
  createReferrersCache,
  type ReferrersCacheOptions,
} from '../../../src/upstream/cache/referrers-cache.ts'
import type { Digest } from '../../../src/oci/reference.ts'
import type { ReferrersRequest } from '../../../src/oci/image-source.ts'
import type { FetchedReferrers } from '../../../src/upstream/referrers.ts'
import { settled } from '../../concurrency/fake-clock.ts'
import { failure, told } from '../upstream.ts'

const digestOf = (digit: string) => `sha256:${digit.repeat(64)}` as Digest
const list: FetchedReferrers = { manifests: [], isFiltered: false, bytes: 100 }

const memoryFor = (options: Partial<ReferrersCacheOptions> = {}) => {
  const clock = { now: 1000 }
  const asked: ReferrersRequest[] = []
  const answers: PromiseWithResolvers<FetchedReferrers>[] = []
  const memory = createReferrersCache({
    fetchReferrers: async (request) => {
      asked.push(request)
      const answer = Promise.withResolvers<FetchedReferrers>()
      answers.push(answer)
      return await answer.promise
    },
    ttlMs: 10_000,
    now: () => clock.now,
    ...options,
  })
  const fetch = (digit: string, artifactType?: string, requester = 'alice', signal?: AbortSignal) =>
    memory({ digest: digestOf(digit), artifactType, requester, signal })
  const fetched = async (digit: string, artifactType?: string) => {
    const answer = fetch(digit, artifactType)
    await settled()
    answers.at(-1)?.resolve({ ...list })
    return await answer
  }
  return { clock, asked, answers, fetch, fetched }
}

await t.test('a list is fetched once for all requesters, and is one object for them', async (test) => {
  const { clock, asked, answers, fetch, fetched } = memoryFor()
  const all = ['alice', 'bob', 'carol'].map((requester) => fetch('a', undefined, requester))
  test.equal(asked.length, 1)
  test.strictSame(asked[0], { digest: digestOf('a'), artifactType: undefined, requester: 'alice' })
  answers[0]?.resolve(list)
  for (const answer of await Promise.all(all)) test.equal(answer, list)
  clock.now += 9999
  test.equal(await fetch('a', undefined, 'dave'), list)
  test.equal(asked.length, 1)
  clock.now += 2
  await fetched('a')
  test.equal(asked.length, 2)
})

await t.test('each subject and each filter has its own list', async (test) => {
  const { asked, fetched } = memoryFor()
  await fetched('a')
  await fetched('b')
  await fetched('a', 'x/y')
  await fetched('a', 'x/z')
  await fetched('a', 'x/y')
  test.equal(asked.length, 4)
})

await t.test('with a time of 0 a list is still shared', async (test) => {
  const { asked, answers, fetch, fetched } = memoryFor({ ttlMs: 0 })
  const all = [fetch('a'), fetch('a')]
  answers[0]?.resolve(list)
  await Promise.all(all)
  test.equal(asked.length, 1)
  await fetched('a')
  test.equal(asked.length, 2)
})

await t.test('the cache is bounded in bytes: the least recently used list is evicted', async (test) => {
  const { asked, fetched } = memoryFor({ maxBytes: 2 * 700 })
  for (const digit of ['a', 'b', 'a', 'c', 'a']) await fetched(digit)
  test.equal(asked.length, 3)
  await fetched('b')
  test.equal(asked.length, 4)
})

await t.test('a caller that leaves does not affect others; a failure is not cached', async (test) => {
  const { asked, answers, fetch, fetched } = memoryFor()
  const leaving = new AbortController()
  const alice = failure(fetch('a', undefined, 'alice', leaving.signal))
  const bob = fetch('a', undefined, 'bob')
  leaving.abort()
  test.equal(told(await alice), '503 UNAVAILABLE 5')
  answers[0]?.resolve(list)
  test.equal(await bob, list)
  const broken = unavailable('broken')
  const both = [fetch('b', undefined, 'alice'), fetch('b', undefined, 'bob')].map(failure)
  answers[1]?.reject(broken)
  test.strictSame(await Promise.all(both), [broken, broken])
  await fetched('b')
  test.equal(asked.length, 3)
})

await t.test(
  'the rate limit of the first requester does not refuse those that share the fetch',
  async (test) => {
    const { asked, answers, fetch } = memoryFor()
    const limit = new UpstreamRateLimited('too much at once', 1)
    const greedy = failure(fetch('a', undefined, 'mallory'))
    const other = fetch('a', undefined, 'alice')
    answers[0]?.reject(limit)
    test.equal(await greedy, limit)
    await settled()
    answers[1]?.resolve(list)
    test.equal(await other, list)
    test.strictSame(
      asked.map(({ requester }) => requester),
      ['mallory', 'alice'],
    )
  },
)

await t.test('the clock of the system is the default', async (test) => {
  let asked = 0
  const fetch = createReferrersCache({
    fetchReferrers: async () => {
      asked += 1
      return list
    },
    ttlMs: 60_000,
  })
  for (let round = 0; round < 2; round++)
    test.equal(await fetch({ digest: digestOf('a'), artifactType: undefined, requester: 'a' }), list)
  test.equal(asked, 1)
})
