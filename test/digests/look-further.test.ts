import t from 'tap'
import type { ClaimedTag } from '../../src/digests/image-stream-claims.ts'
import { createLookFurther, type LookFurtherOptions, type Search } from '../../src/digests/look-further.ts'
import { ReachGraph } from '../../src/digests/reach-graph.ts'
import { parseRepository, type Digest, type QciTag } from '../../src/oci/reference.ts'
import { digestOf, isPrivate, locate } from './fixtures.ts'

const [image, child, layer] = ['image', 'child', 'layer'].map((text) => digestOf(text)) as [
  Digest,
  Digest,
  Digest,
]
const claimed = (namespace: string, tag = 'base', name = '4.15'): ClaimedTag => ({ namespace, name, tag })

interface Scene extends Omit<Partial<LookFurtherOptions>, 'upstream'> {
  readonly claims?: readonly ClaimedTag[]
  /** Tags and digests of upstream, and what their manifests name. */
  readonly upstream?: Readonly<
    Record<string, { digest: Digest; manifests?: readonly Digest[]; blobs?: readonly Digest[] }>
  >
  /** Namespaces that the requester may pull. */
  readonly rights?: readonly string[]
  readonly perPage?: number
}

const setUp = ({ claims = [], upstream = {}, rights = ['ocp'], perPage = 10, ...more }: Scene = {}) => {
  const clock = { now: 1 }
  const graph = new ReachGraph()
  const asked: string[] = []
  const fails: { error?: Error } = {}
  const look = createLookFurther({
    graph,
    claimsOf: () => claims,
    catchUp: async () => true,
    checkClaims: async () => undefined,
    now: () => clock.now,
    upstream: {
      fetchManifest: async (reference, requester) => {
        asked.push(`${requester} ${reference}`)
        if (fails.error !== undefined) throw fails.error
        const found = upstream[reference]
        if (found === undefined) return undefined
        graph.recordManifest(found.digest, { manifests: [], blobs: [], ...found })
        if (!reference.includes(':')) graph.recordTag(locate(reference as QciTag), found.digest, Date.now())
        return found.digest
      },
      fetchPage: async (after, requester) => {
        asked.push(`${requester} after ${after}`)
        const rest = Object.keys(upstream)
          .filter((tag) => after === undefined || tag > after)
          .toSorted()
        return { tags: rest.slice(0, perPage), more: rest.length > perPage }
      },
    },
    ...more,
  })
  const search = (path: string, requester = 'alice'): Search => {
    const [namespace = '', name = ''] = path.split('/')
    return {
      repository: parseRepository(namespace, name, 'openshift/ci'),
      requester,
      mayPull: async (imageStream) => {
        asked.push(`may ${requester} ${imageStream.namespace}`)
        return rights.includes(imageStream.namespace)
      },
    }
  }
  const find = async (path: string, digest = image, requester = 'alice') =>
    await look(digest, search(path, requester))
  return { clock, graph, asked, fails, find }
}

await t.test('without claims and without a named stream, no request is sent', async (test) => {
  const { find, asked } = setUp()
  test.strictSame(await find('openshift/ci'), { hasNewFacts: false, isCertain: true })
  test.strictSame(asked, [])
})

await t.test(
  'claims that the requester may pull are resolved first, with the manifests below',
  async (test) => {
    const { find, asked, graph } = setUp({
      claims: [claimed('other'), claimed('ocp', 'wrong'), claimed('ocp'), claimed('ocp', 'more')],
      upstream: {
        'ocp_4.15_wrong': { digest: digestOf('wrong') },
        'ocp_4.15_base': { digest: image, manifests: [child, digestOf('gone')] },
        [child]: { digest: child, blobs: [layer] },
      },
    })
    test.strictSame(await find('openshift/ci'), { hasNewFacts: true, isCertain: true })
    test.strictSame(asked, [
      'may alice other',
      'may alice ocp',
      'alice ocp_4.15_wrong',
      'may alice ocp',
      'alice ocp_4.15_base',
      `alice ${child}`,
      `alice ${digestOf('gone')}`,
    ])
    test.match(graph.reachOf(layer), { isOpen: true })
  },
)

await t.test(
  'a digest that is known in other namespaces is looked for where the requester may pull',
  async (test) => {
    const { find, graph, asked } = setUp({
      claims: [claimed('ocp', 'wrong'), claimed('ocp')],
      upstream: { 'ocp_4.15_wrong': { digest: digestOf('wrong') }, 'ocp_4.15_base': { digest: image } },
    })
    graph.recordTag(locate('ocp-priv_4.15_base' as QciTag), image, Date.now())
    await find('openshift/ci')
    test.ok(asked.includes('alice ocp_4.15_base'))
    test.match(graph.reachOf(image), { isOpen: true })
  },
)

await t.test(
  'then the tags of the named image stream are resolved, until the digest is found',
  async (test) => {
    const { find, asked, graph } = setUp({
      claims: [claimed('other')],
      upstream: {
        'ocp_4.15_a': { digest: digestOf('a') },
        'ocp_4.15_b': { digest: image },
        'ocp_4.15_c': { digest: digestOf('c') },
      },
    })
    test.match(await find('ocp/4.15'), { hasNewFacts: true })
    test.strictSame(asked, ['may alice ocp', 'alice after ocp_4.15_', 'alice ocp_4.15_a', 'alice ocp_4.15_b'])
    const again = asked.length
    await find('ocp/4.15', digestOf('c'))
    test.match(graph.reachOf(digestOf('c')), { isOpen: true })
    await find('ocp/other', image, 'bob')
    test.strictSame(asked.slice(again + 5), [], 'what is known in that namespace needs no look')
  },
)

await t.test('the tags of a stream are not resolved for a requester who may not pull it', async (test) => {
  const { find, asked } = setUp({ upstream: { 'ocp-priv_4.15_a': { digest: image } } })
  test.match(await find('ocp-priv/4.15'), { hasNewFacts: false })
  test.strictSame(asked, ['may alice ocp-priv'])
})

await t.test('claims that are resolved and reviewed, tags and pages are bounded', async (test) => {
  const wrong = Object.fromEntries(
    Array.from({ length: 100 }, (_, number) => [
      `ocp_4.15_${String(number).padStart(3, '0')}`,
      { digest: digestOf(`wrong ${number}`) },
    ]),
  )
  const many = setUp({
    claims: Array.from({ length: 40 }, (_, number) => claimed('ocp', String(number).padStart(3, '0'))),
    upstream: wrong,
  })
  await many.find('openshift/ci')
  test.equal(many.asked.filter((line) => line.startsWith('alice')).length, 4)
  const others = setUp({ claims: Array.from({ length: 40 }, (_, number) => claimed(`n${number}`)) })
  await others.find('openshift/ci')
  test.equal(others.asked.length, 16)
  const attacked = setUp({
    claims: [...Array.from({ length: 10 }, () => claimed('mallory')), claimed('ocp')],
    upstream: { 'ocp_4.15_base': { digest: image } },
  })
  test.match(
    await attacked.find('openshift/ci'),
    { hasNewFacts: true },
    'attack: claims of others use nothing up',
  )
  test.ok(attacked.graph.reachOf(image).isOpen)
  const wide = setUp({ upstream: wrong, perPage: 50 })
  await wide.find('ocp/4.15')
  test.equal(wide.asked.filter((line) => line.startsWith('alice ocp')).length, 32)
  const narrow = setUp({ upstream: wrong, perPage: 2 })
  await narrow.find('ocp/4.15')
  test.equal(narrow.asked.filter((line) => /alice after/.test(line)).length, 3)
})

await t.test(
  'a search without a result is not repeated by the same requester for ten seconds',
  async (test) => {
    const { find, asked, clock } = setUp({ upstream: { 'ocp_4.15_a': { digest: digestOf('a') } } })
    const [one, two] = await Promise.all([find('ocp/4.15'), find('ocp/4.15')])
    test.strictSame([one.hasNewFacts, two.hasNewFacts], [false, false])
    const once = asked.length
    await find('ocp/4.15')
    test.equal(asked.length, once)
    await find('ocp/4.15', image, 'bob')
    test.equal(asked.length, 2 * once)
    clock.now += 10_001
    await find('ocp/4.15')
    test.equal(asked.length, 3 * once)
  },
)

await t.test('attack: each requester has a limit on searches of its own', async (test) => {
  const { find, asked, clock } = setUp()
  const searches = async (count: number, from: number, requester = 'mallory') => {
    const before = asked.length
    for (let number = from; number < from + count; number++)
      await find('ocp/4.15', digestOf(`made up ${number}`), requester)
    return asked.slice(before).filter((line) => line.includes(' after ')).length
  }
  test.equal(await searches(50, 0), 10)
  test.equal(await searches(1, 50, 'bob'), 1)
  clock.now += 12_000
  test.equal(await searches(50, 100), 2)
  clock.now += 3_000
  test.equal(await searches(50, 200), 1, 'what is left of an interval counts')
  clock.now += 3600_000
  test.equal(await searches(50, 300), 10)
})

await t.test('claims that close are checked last, once, and within the limit', async (test) => {
  const checked: Digest[] = []
  const { find, asked } = setUp({
    claims: [claimed('ocp-priv')],
    checkClaims: async (digest, fetch) => {
      checked.push(digest)
      await fetch('ocp-priv_4.15_base' as QciTag)
    },
  })
  test.match(await find('openshift/ci'), { hasNewFacts: true })
  test.strictSame(asked, ['may alice ocp-priv', 'alice ocp-priv_4.15_base'])
  for (let number = 0; number < 50; number++) await find('openshift/ci', digestOf(String(number)))
  for (let again = 0; again < 50; again++) await find('openshift/ci')
  test.equal(checked.length, 10)
})

await t.test('errors of upstream are thrown to all callers, and the search may be repeated', async (test) => {
  const { find, fails, asked } = setUp({ upstream: { 'ocp_4.15_base': { digest: image } } })
  fails.error = new Error('upstream is unavailable')
  const results = await Promise.allSettled([find('ocp/4.15'), find('ocp/4.15')])
  test.match(results, [
    { status: 'rejected', reason: { message: 'upstream is unavailable' } },
    { status: 'rejected', reason: { message: 'upstream is unavailable' } },
  ])
  test.equal(asked.filter((line) => line.includes('_base')).length, 1)
  delete fails.error
  test.match(await find('ocp/4.15'), { hasNewFacts: true })
})

await t.test(
  'the search waits for the facts of other replicas, and a refusal without them is not certain',
  async (test) => {
    for (const isCertain of [true, false]) {
      const { find, graph } = setUp({
        catchUp: async () => {
          graph.recordTag(locate('ocp_4.15_base' as QciTag), image, Date.now())
          return isCertain
        },
      })
      test.strictSame(await find('openshift/ci'), { hasNewFacts: true, isCertain })
      test.strictSame(await find('openshift/ci'), { hasNewFacts: false, isCertain })
    }
  },
)

await t.test('the clock is monotonic unless given', async (test) => {
  const look = createLookFurther({
    graph: new ReachGraph(),
    claimsOf: () => [],
    catchUp: async () => true,
    checkClaims: async () => undefined,
    upstream: { fetchManifest: async () => undefined, fetchPage: async () => ({ tags: [], more: false }) },
  })
  const repository = parseRepository('ocp', '4.15', 'openshift/ci')
  const mayPull = async ({ namespace }: { namespace: string }) => !isPrivate(namespace)
  test.match(await look(image, { repository, requester: 'alice', mayPull }), { hasNewFacts: false })
})

await t.test('known manifests below a tag are not fetched', async (test) => {
  const { find, asked, graph } = setUp({
    claims: [claimed('ocp', 'index'), claimed('ocp', 'unread')],
    upstream: { 'ocp_4.15_index': { digest: digestOf('index'), manifests: [child] } },
  })
  graph.recordManifest(child, { manifests: [], blobs: [] })
  await find('openshift/ci')
  test.notOk(asked.some((line) => line.includes('sha256:')))
  const unread = createLookFurther({
    graph: new ReachGraph(),
    claimsOf: () => [claimed('ocp')],
    catchUp: async () => true,
    checkClaims: async () => undefined,
    upstream: {
      fetchManifest: async () => digestOf('unread'),
      fetchPage: async () => ({ tags: [], more: false }),
    },
  })
  const repository = parseRepository('openshift', 'ci', 'openshift/ci')
  test.match(await unread(image, { repository, requester: 'alice', mayPull: async () => true }), {
    isCertain: true,
  })
})
