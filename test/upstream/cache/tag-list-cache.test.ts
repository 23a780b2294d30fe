import t from 'tap'
import { unavailable } from '../../../src/oci/errors.ts'
import type { TagPage, TagsRequest } from '../../../src/oci/image-source.ts'
import { UpstreamRateLimited } from '../../../src/upstream/errors.ts'
import { createTagListCache, type TagListCacheOptions } from '../../../src/upstream/cache/tag-list-cache.ts'
import { settled } from '../../concurrency/fake-clock.ts'
import { failure, told } from '../upstream.ts'

const pageAfter = (after: string | undefined): TagPage => ({ tags: [`${after}-1`, `${after}-2`], more: true })

const memoryFor = (options: Partial<TagListCacheOptions> = {}) => {
  const clock = { now: 1000 }
  const asked: TagsRequest[] = []
  const answers: PromiseWithResolvers<TagPage>[] = []
  const observed: string[] = []
  const fetchTags = createTagListCache({
    fetchTags: async (request) => {
      asked.push(request)
      const answer = Promise.withResolvers<TagPage>()
      answers.push(answer)
      return await answer.promise
    },
    ttlMs: 10_000,
    observe: (source) => void observed.push(source),
    now: () => clock.now,
    ...options,
  })
  const list = (after?: string, requester = 'alice', signal?: AbortSignal) =>
    fetchTags({ after, requester, signal })
  /** Upstream answers all waiting requests. */
  const answerAll = async () => {
    for (const [index, { after }] of asked.entries()) answers[index]?.resolve(pageAfter(after))
    await settled()
  }
  const listed = async (after?: string) => {
    const page = list(after)
    await answerAll()
    return await page
  }
  const listBehind = (after?: string) => fetchTags({ after, requester: 'walk', priority: 'background' })
  return { clock, asked, answers, observed, list, listBehind, listed, answerAll }
}

await t.test('a page is fetched once for all requesters, and cached for a short time', async (test) => {
  const { clock, asked, observed, list, listed, answerAll } = memoryFor()
  const all = ['alice', 'bob', 'carol'].map((requester) => list('a', requester))
  test.equal(asked.length, 1)
  test.match(asked[0], { after: 'a', requester: 'alice' })
  await answerAll()
  for (const page of await Promise.all(all)) test.strictSame(page, pageAfter('a'))
  clock.now += 9999
  test.strictSame(await list('a', 'dave'), pageAfter('a'))
  test.equal(asked.length, 1)
  clock.now += 2
  await listed('a')
  test.equal(asked.length, 2)
  test.strictSame(observed, ['live', 'shared', 'shared', 'cached', 'live'])
})

await t.test('each page has its own entry; the first one, too', async (test) => {
  const { asked, listed } = memoryFor()
  test.strictSame(await listed('a'), pageAfter('a'))
  test.strictSame(await listed(), pageAfter(undefined))
  await listed()
  test.strictSame(
    asked.map(({ after }) => after),
    ['a', undefined],
  )
})

await t.test('with a time of 0 a page is still shared', async (test) => {
  const { asked, list, listed, answerAll } = memoryFor({ ttlMs: 0 })
  const all = [list('a'), list('a')]
  await answerAll()
  await Promise.all(all)
  test.equal(asked.length, 1)
  await listed('a')
  test.equal(asked.length, 2)
})

await t.test('the cache is bounded in bytes: the least recently used page is evicted', async (test) => {
  // Each page below has 200 + 2 * (40 + 3) bytes.
  const { asked, listed } = memoryFor({ maxBytes: 2 * 286 })
  for (const after of ['a', 'b', 'a', 'c', 'a']) await listed(after)
  test.equal(asked.length, 3)
  await listed('b')
  test.equal(asked.length, 4)
})

await t.test(
  'a caller that leaves does not affect others; when all have left, the fetch is aborted',
  async (test) => {
    const { asked, observed, list, listed, answerAll } = memoryFor()
    const [first, second] = [new AbortController(), new AbortController()]
    const alice = failure(list('a', 'alice', first.signal))
    const bob = list('a', 'bob', second.signal)
    first.abort()
    test.equal(told(await alice), '503 UNAVAILABLE 5')
    test.equal(asked[0]?.signal?.aborted, false)
    await answerAll()
    test.strictSame(await bob, pageAfter('a'))
    const lonely = failure(list('b', 'bob', second.signal))
    second.abort()
    await lonely
    test.equal(asked[1]?.signal?.aborted, true)
    test.strictSame(await listed('b'), pageAfter('b'), 'who comes next does not join what was abandoned')
    test.equal(asked.length, 3)
    await failure(list('c', 'bob', second.signal))
    test.equal(asked.length, 3, 'who has left before is not asked for')
    test.strictSame(observed, ['live', 'shared', 'live', 'live'])
  },
)

await t.test('a failure is for all waiting callers, and is not cached', async (test) => {
  const { asked, answers, list, listed } = memoryFor()
  const broken = unavailable('broken')
  const all = [list('a', 'alice'), list('a', 'bob')].map(failure)
  answers[0]?.reject(broken)
  test.strictSame(await Promise.all(all), [broken, broken])
  test.equal(asked.length, 1)
  test.strictSame(await listed('a'), pageAfter('a'))
})

await t.test(
  'the rate limit of the first requester does not refuse those that share the fetch',
  async (test) => {
    const { asked, answers, list } = memoryFor()
    const limit = new UpstreamRateLimited('too much at once', 1)
    const greedy = [list('a', 'mallory'), list('a', 'mallory')].map(failure)
    const others = [list('a', 'alice'), list('a', 'bob')]
    answers[0]?.reject(limit)
    test.strictSame(await Promise.all(greedy), [limit, limit])
    await settled()
    test.strictSame(
      asked.map(({ requester }) => requester),
      ['mallory', 'alice'],
    )
    answers[1]?.resolve(pageAfter('a'))
    test.strictSame(await Promise.all(others), [pageAfter('a'), pageAfter('a')])
    test.equal(asked.length, 2)
  },
)

await t.test(
  'attack: many requesters over their limits take turns to start a fetch, and others do not wait for all of them',
  async (test) => {
    const { asked, answers, list } = memoryFor()
    const limit = new UpstreamRateLimited('too much at once', 1)
    const greedy = Array.from({ length: 8 }, (_, index) => failure(list('a', `mallory-${index}`)))
    const others = [list('a', 'alice'), list('a', 'alice')]
    const gone = new AbortController()
    const left = failure(list('a', 'carol', gone.signal))
    for (let round = 0; round < 3; round++) {
      if (round === 2) gone.abort()
      answers[round]?.reject(limit)
      await settled()
    }
    const own = asked.findIndex(({ requester }) => requester === 'alice')
    test.not(own, -1, 'after three rounds alice fetches the page at her own rate')
    answers[own]?.resolve(pageAfter('a'))
    for (const page of await Promise.all(others)) test.strictSame(page, pageAfter('a'))
    test.equal(told(await left), '503 UNAVAILABLE 5')
    for (const answer of answers) answer.reject(limit)
    for (const error of await Promise.all(greedy)) test.equal(error, limit)
    test.equal(asked.filter(({ requester }) => requester === 'alice').length, 1)
    test.notOk(asked.some(({ requester }) => requester === 'carol'))
  },
)

await t.test('the clock of the system is the default', async (test) => {
  let asked = 0
  const fetchTags = createTagListCache({
    fetchTags: async () => {
      asked++
      return pageAfter('a')
    },
    ttlMs: 60_000,
    observe: () => undefined,
  })
  for (let round = 0; round < 2; round++)
    test.strictSame(await fetchTags({ after: 'a', requester: 'a' }), pageAfter('a'))
  test.equal(asked, 1)
})

await t.test(
  'background requests share with each other alone, and their pages are cached for all',
  async (test) => {
    const { asked, list, listBehind, answerAll } = memoryFor()
    for (const after of [undefined, 'a']) {
      const before = asked.length
      const all = [listBehind(after), listBehind(after), list(after), list(after)]
      test.strictSame(
        asked.slice(before).map(({ priority }) => priority),
        ['background', undefined],
      )
      await answerAll()
      for (const page of await Promise.all(all)) test.strictSame(page, pageAfter(after))
      test.strictSame(await list(after), pageAfter(after))
    }
    test.equal(asked.length, 4)
  },
)
