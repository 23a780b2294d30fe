import t from 'tap'
import type { Test } from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import type { ImageStream } from '../../../src/oci/reference.ts'
import { routes, type RoutesOptions } from '../../../src/registry/routes.ts'
import { createTagCursors } from '../../../src/registry/tags/tag-cursors.ts'
import { alice, allowed, bareApp, bearer, refused, routesOptions } from '../fakes.ts'

/** For a test that reads a list faster than anybody may. */
const quick = { burst: 10_000, everyMs: 1, maxWaitMs: 0 }

/** Upstream in pages of `size`, sorted; may: which namespaces (or none: '') are open. */
const serve = async (
  test: Test,
  tags: readonly string[],
  may: (namespace: string) => boolean = () => true,
  more: Partial<RoutesOptions> = {},
  size = 3,
) => {
  const pages: (string | undefined)[] = []
  const asked: string[] = []
  const sorted = tags.toSorted()
  const app = bareApp(test)
  await app.register(
    routes,
    routesOptions({
      fetchTags: async ({ after }) => {
        pages.push(after)
        const rest = sorted.filter((tag) => after === undefined || tag > after)
        return { tags: rest.slice(0, size), more: rest.length > size }
      },
      policy: {
        decide: async () => refused,
        mayList: async () => false,
        decideImageStream: async (_identity, imageStream?: ImageStream) => {
          asked.push(`${imageStream?.namespace}/${imageStream?.name ?? ''}`)
          return may(imageStream?.namespace ?? '') ? allowed : refused
        },
      },
      ...more,
    }),
  )
  const list = async (repository: string, query = '') => {
    const answer = await app.inject({ url: `/v2/${repository}/tags/list${query}`, headers: bearer })
    const { tags: listed } = JSON.parse(answer.payload) as { tags?: string[] }
    return { status: answer.statusCode, listed, link: answer.headers['link'], answer }
  }
  return { list, pages, asked }
}

await t.test('an image stream: its tags without the prefix', async (test) => {
  const tags = ['ocp_4.4_a', 'ocp_4.5_a', 'ocp_4.5_b', 'ocp_4.5_c', 'ocp_4.5_d', 'ocp_4.6_a', 'z_z_z']
  const { list, pages } = await serve(test, tags)
  const { answer } = await list('ocp/4.5')
  test.equal(answer.headers['content-type'], 'application/json')
  test.strictSame(JSON.parse(answer.payload), { name: 'ocp/4.5', tags: ['a', 'b', 'c', 'd'] })
  test.strictSame(pages, ['ocp_4.5_', 'ocp_4.5_c'], 'nothing is read before it or behind it')
})

await t.test('trap 29: pages, linked by a path', async (test) => {
  const { list } = await serve(
    test,
    [1, 2, 3, 4, 5, 6, 7].map((n) => `ocp_4.5_${n}`),
  )
  const first = await list('ocp/4.5', '?n=2')
  test.strictSame(first.listed, ['1', '2'])
  test.equal(first.link, '</v2/ocp/4.5/tags/list?n=2&last=2>; rel="next"')
  const second = await list('ocp/4.5', '?n=3')
  test.strictSame(
    [second.listed, second.link?.includes('last=3')],
    [['1', '2', '3'], true],
    'a page of upstream is full',
  )
  const last = await list('ocp/4.5', '?n=3&last=5')
  test.strictSame([last.listed, last.link], [['6', '7'], undefined])
  test.strictSame((await list('ocp/4.5', '?n=0')).listed, [])
})

await t.test('the monorepo: what the requester may pull, a review for each namespace', async (test) => {
  const hex = 'a'.repeat(64)
  const tags = ['a_x_1', 'a_y_1', 'b-priv_x_1', `20231029_sha256_${hex}`, 'latest', 'c_x_1', '-not a tag']
  const { list, asked } = await serve(test, tags, (namespace) => namespace !== 'b-priv')
  test.strictSame((await list('openshift/ci')).listed, ['a_x_1', 'a_y_1', 'c_x_1', 'latest'])
  test.strictSame(asked.toSorted(), ['a/', 'b-priv/', 'c/', 'undefined/'])
  const nobody = await serve(test, tags, () => false)
  test.strictSame((await nobody.list('openshift/ci')).listed, [])
})

await t.test('trap 30: a forbidden list is DENIED', async (test) => {
  const { list, pages } = await serve(test, ['a_b_c'], () => false)
  const { status, answer } = await list('a/b')
  test.equal(status, 403)
  test.match(answer.payload, /"DENIED".*alice may not pull from namespace a/)
  test.strictSame(pages, [])
})

await t.test('many hidden tags: a Link that does not tell its position', async (test) => {
  const tags = Array.from({ length: 100 }, (_, index) => `${20240603000000 + index}_prune_b-priv_x_1`)
  const { list, pages } = await serve(test, tags, () => false, {
    cursors: {
      seal: async ({ after }) => `~sealed${after.length}`,
      open: async () => ({ after: '20240603000090_prune_b-priv_x_1', emptyPages: 1 }),
    },
  })
  const { listed, link } = await list('openshift/ci')
  test.strictSame([listed, pages.length], [[], 20])
  test.equal(link, '</v2/openshift/ci/tags/list?n=100&last=%7Esealed31>; rel="next"')
  pages.length = 0
  await list('openshift/ci', '?last=~sealed31')
  test.equal(pages[0], '20240603000090_prune_b-priv_x_1')
})

/** How many pages a list has, and all its tags, for those whom cursors are sealed for. */
const follow = async (list: Awaited<ReturnType<typeof serve>>['list'], query = '') => {
  const tags: string[] = []
  let pages = 0
  const lengths = new Set<number>()
  for (let next: string | undefined = query; next !== undefined; pages++) {
    const page = await list('openshift/ci', next)
    tags.push(...(page.listed ?? []))
    const link: string | undefined = page.link?.toString()
    if (link !== undefined) lengths.add(link.length)
    next = link === undefined ? undefined : /tags\/list([^>]*)>/.exec(link)?.[1]
  }
  return { tags, pages, lengths }
}

await t.test('attack: the Links of an empty list do not tell how many namespaces there are', async (test) => {
  const cursors = createTagCursors(() => [Buffer.alloc(32, 1)])
  const namespaces = (count: number) =>
    Array.from({ length: count }, (_, index) => `n${String(index).padStart(4, '0')}_x_1`)
  const rows = [
    [0, 8],
    [1, 8],
    [63, 8],
    [201, 8],
    [500, 8],
    [600, 64],
  ] as const
  const lengths = new Set<number>()
  for (const [count, expected] of rows) {
    const { list } = await serve(test, namespaces(count), () => false, { cursors, listPace: quick }, 100)
    const seen = await follow(list)
    test.strictSame([seen.tags, seen.pages], [[], expected], `${count} namespaces`)
    for (const length of seen.lengths) lengths.add(length)
  }
  test.equal(lengths.size, 1, 'nor does what a Link looks like')
  const wide = await serve(test, namespaces(1), (namespace) => namespace === '', { cursors })
  test.equal((await follow(wide.list)).pages, 1, 'whoever sees the whole monorepo has nothing to count')
  const own = await serve(test, namespaces(100), (namespace) => namespace === 'n0099', { cursors }, 100)
  test.strictSame(await follow(own.list), { tags: ['n0099_x_1'], pages: 2, lengths })
  const before = await serve(test, namespaces(100), (namespace) => namespace === 'n0000', { cursors }, 100)
  test.strictSame(await follow(before.list), { tags: ['n0000_x_1'], pages: 9, lengths }, 'nor what is behind')
  const nothing = await serve(test, namespaces(1), () => false, { cursors })
  test.equal((await follow(nothing.list, '?n=0')).pages, 1)
})

await t.test('attack: a cursor of the monorepo on the list of an image stream', async (test) => {
  const cursors = createTagCursors(() => [Buffer.alloc(32, 1)])
  const tags = Array.from({ length: 100 }, (_, index) => `${20240603000000 + index}_prune_b-priv_x_1`)
  const { list } = await serve(test, tags, (namespace) => namespace === 'team', { cursors })
  const { link } = await list('openshift/ci')
  const last = /last=([^>]+)>/.exec(String(link))?.[1] ?? ''
  test.match(last, /^%7E/)
  test.equal((await list('openshift/ci', `?last=${last}`)).status, 200)
  test.equal((await list('team/app', `?last=${last}`)).status, 400)
  const mallory = { ...alice, key: 'mallory' }
  const other = await serve(test, tags, () => false, {
    cursors,
    authenticate: async () => ({ identity: mallory, bearerToken: '' }),
  })
  test.equal((await other.list('openshift/ci', `?last=${last}`)).status, 400, 'nor by anybody else')
  const robot = { kind: 'robot', user: { username: 'alice', groups: [], extra: {} } } as const
  const robots = await serve(test, tags, () => false, {
    cursors,
    authenticate: async () => ({ identity: robot, bearerToken: '' }),
  })
  test.equal((await robots.list('openshift/ci', `?last=${last}`)).status, 400)
  const sealed = /last=([^>]+)>/.exec(String((await robots.list('openshift/ci')).link))?.[1] ?? ''
  test.equal((await robots.list('openshift/ci', `?last=${sealed}`)).status, 200, 'a robot by its name')
})

await t.test('an upstream with endless empty pages is read for a limited time', async (test) => {
  let pages = 0
  const fetchTags = async () => ({ tags: [], more: ++pages > 0 })
  const { list } = await serve(test, [], () => true, { fetchTags })
  const { listed, link } = await list('openshift/ci')
  test.strictSame([listed, link, pages], [[], undefined, 20])
})

await t.test('malformed queries, and an empty list', async (test) => {
  const { list } = await serve(test, [])
  for (const query of ['?n=-1', '?n=a', '?n=1&n=2', '?last=a&last=b', '?n=1e3'])
    test.equal((await list('ocp/4.5', query)).status, 400, query)
  test.strictSame((await list('ocp/4.5', '?n=99999&last=')).listed, [])
  test.strictSame((await list('openshift/ci')).listed, [])
  const forged = await serve(test, [], () => true, {
    cursors: {
      seal: async () => '',
      open: async () => {
        throw new RegistryError('TAG_INVALID', 'no')
      },
    },
  })
  test.equal((await forged.list('ocp/4.5', '?last=~a')).status, 400)
})

await t.test('attack: a loop over cached lists is slowed down, then refused', async (test) => {
  const listPace = { burst: 1, everyMs: 300, maxWaitMs: 400 }
  const { list, pages } = await serve(test, ['ocp_4.5_a'], () => true, { listPace })
  const lists = await Promise.all(Array.from({ length: 4 }, async () => await list('openshift/ci')))
  test.strictSame(
    lists.map(({ status }) => status).toSorted((one, other) => one - other),
    [200, 200, 429, 429],
  )
  test.equal(lists.find(({ status }) => status === 429)?.answer.headers['retry-after'], '3')
  test.equal(pages.length, 2, 'upstream hears of two')
})

await t.test('a client that disconnects during the wait costs upstream nothing', async (test) => {
  const app = bareApp(test)
  const asked: boolean[] = []
  await app.register(
    routes,
    routesOptions({
      listPace: { burst: 1, everyMs: 10_000, maxWaitMs: 20_000 },
      fetchTags: async ({ signal }) => {
        asked.push(signal?.aborted === true)
        signal?.throwIfAborted()
        return { tags: [], more: false }
      },
    }),
  )
  const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/v2/openshift/ci/tags/list`
  test.equal((await fetch(url, { headers: bearer })).status, 200)
  const controller = new AbortController()
  const left = fetch(url, { headers: bearer, signal: controller.signal }).catch(() => 'left')
  await new Promise((resolve) => setTimeout(resolve, 50))
  controller.abort()
  test.equal(await left, 'left')
  while (asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  test.strictSame(asked, [false, true])
})

await t.test('attack: many lists over cached pages leave turns of the event loop to others', async (test) => {
  const tags = Array.from({ length: 60 }, (_, index) => `a_b_${String(index).padStart(2, '0')}`)
  const { list, pages } = await serve(test, tags, () => true, { listPace: quick })
  const perTurn: number[] = []
  let isOver = false
  let before = 0
  const count = (): void => {
    perTurn.push(pages.length - before)
    before = pages.length
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const lists = await Promise.all(Array.from({ length: 40 }, async () => await list('openshift/ci', '?n=60')))
  isOver = true
  perTurn.push(pages.length - before)
  for (const { listed } of lists) test.strictSame(listed, tags.toSorted())
  // The first page of each list is fetched when its request begins.
  const [first = 0, ...later] = perTurn.filter((fetched) => fetched > 0)
  test.ok(Math.max(first - lists.length, ...later) <= 12, perTurn.join())
})
