import t from 'tap'
import type { Test } from 'tap'
import { RegistryError } from '../../src/errors.ts'
import type { ImageStream } from '../../src/reference.ts'
import { routes, type RoutesOptions } from '../../src/registry/routes.ts'
import { allowed, bareApp, bearer, refused, routesOptions } from './fakes.ts'

/** Upstream in pages of `size`, sorted; may: which namespaces (or none: '') are open. */
const serve = async (
  test: Test,
  tags: readonly string[],
  may: (namespace: string) => boolean = () => true,
  more: Partial<RoutesOptions> = {},
) => {
  const size = 3
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
        known: () => undefined,
        decide: async () => refused,
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

await t.test('an image stream: its own tags, without the prefix', async (test) => {
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

await t.test('the monorepo: what the asker may pull, a review for each namespace', async (test) => {
  const hex = 'a'.repeat(64)
  const tags = ['a_x_1', 'a_y_1', 'b-priv_x_1', `20231029_sha256_${hex}`, 'latest', 'c_x_1', '-not a tag']
  const { list, asked } = await serve(test, tags, (namespace) => namespace !== 'b-priv')
  test.strictSame((await list('openshift/ci')).listed, ['a_x_1', 'a_y_1', 'c_x_1', 'latest'])
  test.strictSame(asked.toSorted(), ['a/', 'b-priv/', 'c/', 'undefined/'])
  const nobody = await serve(test, tags, () => false)
  test.strictSame((await nobody.list('openshift/ci')).listed, [])
})

await t.test('trap 30: a list that may not be seen is DENIED', async (test) => {
  const { list, pages } = await serve(test, ['a_b_c'], () => false)
  const { status, answer } = await list('a/b')
  test.equal(status, 403)
  test.match(answer.payload, /"DENIED".*alice may not pull from namespace a/)
  test.strictSame(pages, [])
})

await t.test('a long stretch of what may not be seen: a Link that does not tell where', async (test) => {
  const tags = Array.from({ length: 100 }, (_, index) => `${20240603000000 + index}_prune_b-priv_x_1`)
  const { list, pages } = await serve(test, tags, () => false, {
    cursors: {
      seal: async (tag) => `~sealed${tag.length}`,
      open: async () => '20240603000090_prune_b-priv_x_1',
    },
  })
  const { listed, link } = await list('openshift/ci')
  test.strictSame([listed, pages.length], [[], 20])
  test.equal(link, '</v2/openshift/ci/tags/list?n=100&last=%7Esealed31>; rel="next"')
  pages.length = 0
  await list('openshift/ci', '?last=~sealed31')
  test.equal(pages[0], '20240603000090_prune_b-priv_x_1')
})

await t.test('an upstream that promises more and gives nothing is not asked for ever', async (test) => {
  let pages = 0
  const fetchTags = async () => ({ tags: [], more: ++pages > 0 })
  const { list } = await serve(test, [], () => true, { fetchTags })
  const { listed, link } = await list('openshift/ci')
  test.strictSame([listed, link, pages], [[], undefined, 20])
})

await t.test('queries that are none, and a list that is empty', async (test) => {
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
