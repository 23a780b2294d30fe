import t from 'tap'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'
import { createFindNearTag, type NearTagOptions, type NearTagRequest } from '../../src/registry/near-tag.ts'
import { alice, allowed, digest, refused, routesOptions } from './fakes.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))
const requestFor = (text: string, path = 'ocp/4.5', requester = 'alice'): NearTagRequest => {
  const [namespace = '', name = ''] = path.split('/')
  const reference = parseReference(parseRepository(namespace, name, 'openshift/ci'), text, ownerOf)
  return {
    identity: alice,
    reference: reference as NearTagRequest['reference'],
    requester,
    signal: new AbortController().signal,
  }
}

const setUp = (tags: readonly string[], more: Partial<NearTagOptions> = {}) => {
  const fetched: unknown[] = []
  const find = createFindNearTag({
    policy: routesOptions().policy,
    ownerOf,
    fetchTags: async ({ after, requester }) => {
      fetched.push({ after, requester })
      return { tags, more: false }
    },
    ...more,
  })
  return { find, fetched }
}

await t.test('the tag with the fewest edits', async (test) => {
  const { find, fetched } = setUp(['ocp_4.5_base', 'ocp_4.5_basement', 'ocp_4.5_cli', 'ocp_4.6_bsae'])
  test.equal(await find(requestFor('bsae')), 'base')
  test.strictSame(fetched, [{ after: 'ocp_4.5_', requester: 'alice' }])
  test.equal(await find(requestFor('c1i')), 'cli')
  test.equal(await find(requestFor('something')), undefined)
})

await t.test('attack: a tag that the requester may not pull is not named', async (test) => {
  const policy = {
    ...routesOptions().policy,
    decideImageStream: async (_: unknown, imageStream: { namespace: string } | undefined) =>
      imageStream?.namespace === 'ocp-priv' ? refused : allowed,
  }
  const tags = ['ocp_4.5_base__ocp-priv_x', 'ocp_4.5_base']
  test.equal(await setUp(tags, { policy }).find(requestFor('bas')), 'base')
  test.equal(
    await setUp(['ocp-priv_4.5_base'], { policy }).find(requestFor('bsae', 'ocp-priv/4.5')),
    undefined,
  )
})

await t.test(
  'attack: a loop over missing tags costs upstream few pages, for each requester',
  async (test) => {
    const { find, fetched } = setUp(['ocp_4.5_base'])
    for (let turn = 0; turn < 50; turn++) await find(requestFor('bsae'))
    test.equal(fetched.length, 5)
    test.equal(await find(requestFor('bsae', 'ocp/4.5', 'bob')), 'base')
  },
)

await t.test('no search for tags without an image stream, and none in the monorepo form', async (test) => {
  const { find, fetched } = setUp(['ocp_4.5_base'])
  for (const [text, path] of [
    ['latest', 'openshift/ci'],
    ['ocp_4.5_bsae', 'openshift/ci'],
    [`sha256-${digest.slice(7)}.sig`, 'ocp/4.5'],
  ] as const)
    test.equal(await find(requestFor(text, path)), undefined)
  test.strictSame(fetched, [])
})

await t.test('a review that takes too long delays no response', async (test) => {
  const review = Promise.withResolvers<typeof refused>()
  const sent = Promise.withResolvers<void>()
  let reviews = 0
  const policy = {
    ...routesOptions().policy,
    decideImageStream: async () => {
      reviews += 1
      sent.resolve()
      return await review.promise
    },
  }
  const { find } = setUp(['ocp_4.5_base', 'ocp_4.5_base__ocp-priv_x'], { policy })
  const controller = new AbortController()
  const found = find({ ...requestFor('bas'), signal: controller.signal })
  await sent.promise
  controller.abort()
  test.equal(await found, undefined, 'before the review has an answer')
  review.resolve(refused)
  await new Promise((resolve) => setImmediate(resolve))
  test.equal(reviews, 1)
  // Timers of signals do not keep the process alive.
  const alive = setInterval(() => undefined, 60_000)
  test.teardown(() => clearInterval(alive))
  const never = async () => await new Promise<typeof refused>(() => undefined)
  const hanging = setUp(['ocp_4.5_base'], { policy: { ...policy, decideImageStream: never }, maxWaitMs: 1 })
  test.equal(await hanging.find(requestFor('bas')), undefined)
})

await t.test('a failure of the search is no failure of the response', async (test) => {
  const { find } = setUp([], {
    fetchTags: async () => {
      throw new Error('unavailable')
    },
  })
  test.equal(await find(requestFor('bsae')), undefined)
})
