import t from 'tap'
import { snapshotOf } from '../../src/digests/fact-snapshot.ts'
import { Facts } from '../../src/digests/facts.ts'
import { ReachGraph } from '../../src/digests/reach-graph.ts'
import type { QciTag } from '../../src/oci/reference.ts'
import { digestOf, locate } from './fixtures.ts'

const dayMs = 24 * 3600_000
const [untagged, image, layer, secret] = [
  digestOf('untagged'),
  digestOf('image'),
  digestOf('layer'),
  digestOf('secret'),
]
const restricted = 'ocp-priv_4.15_base' as QciTag

const setUp = (maxNamesBytes?: number) => {
  const clock = { now: 1000 * dayMs }
  const now = () => clock.now
  const graph = new ReachGraph({ now, ...(maxNamesBytes === undefined ? {} : { maxNamesBytes }) })
  return { clock, graph, facts: new Facts({ graph, locate, now, publish: async () => undefined }) }
}

await t.test(
  'attack: after a restart, a blob that only an untagged manifest names has no parent',
  async (test) => {
    const { facts, clock } = setUp()
    await facts.record(restricted, image, { manifests: [], blobs: [secret] })
    await facts.record(undefined, untagged, { manifests: [], blobs: [layer, secret] })
    const next = setUp()
    next.facts.apply([...facts.snapshot()])
    test.strictSame(next.graph.parentsOf(layer), [untagged])
    test.strictSame(next.graph.parentsOf(secret), [untagged])
    test.match(next.graph.reachOf(secret), { isRestricted: true, isOpen: false })
    for (const digest of [untagged, layer])
      test.match(next.graph.reachOf(digest), { isRestricted: false, isOpen: false, imageStreams: [] })
    clock.now += dayMs
    test.equal([...facts.snapshot()].length, 2, 'until it was not pulled for a day')
  },
)

await t.test(
  'names below a tag are listed once, however many tags reach them, to the bound on depth',
  async (test) => {
    const chain = Array.from({ length: 9 }, (_, link) => digestOf(`link ${link}`))
    const tags = ['a', 'b'].map(
      (tag) => [`ocp_4.15_${tag} ${chain[0]}`, { digest: chain[0]!, seenAt: 0 }] as const,
    )
    const snapshot = snapshotOf({
      restricted: [],
      open: tags,
      published: [[chain[0]!, { at: 0 }]],
      childrenOf: (digest) => ({ manifests: chain.slice(chain.indexOf(digest) + 1).slice(0, 1), blobs: [] }),
      now: 1,
    })
    test.strictSame(
      [...snapshot].map((fact) => (fact.kind === 'tag' ? fact.tag : chain.indexOf(fact.manifest))),
      ['ocp_4.15_a', 0, 1, 2, 3, 4, 'ocp_4.15_b'],
    )
  },
)

await t.test('of the manifests that no tag reaches, the last published are in it', async (test) => {
  const published = Array.from(
    { length: 50_001 },
    (_, number) => [digestOf(String(number)), { at: 0 }] as const,
  )
  const snapshot = [
    ...snapshotOf({
      restricted: [],
      open: [],
      published,
      childrenOf: (digest) => (digest === published[1]?.[0] ? undefined : { manifests: [], blobs: [] }),
      now: 1,
    }),
  ]
  test.equal(snapshot.length, 49_999)
  test.match(snapshot[0], { kind: 'names', manifest: published[0]?.[0], isRestricted: false })
})

await t.test(
  'attack: names of restricted images that others evict are missing, and that is known',
  async (test) => {
    const { facts, graph } = setUp(500)
    await facts.record(restricted, image, { manifests: [], blobs: [secret] })
    test.equal(facts.hasForgotten, false)
    await facts.record('evil-priv_x_y' as QciTag, untagged, {
      manifests: [],
      blobs: Array.from({ length: 8 }, (_, number) => digestOf(`layer ${number}`)),
    })
    test.equal(facts.hasForgotten, true)
    test.match(graph.reachOf(secret), { isRestricted: true }, 'it stays closed here')
    test.notOk([...facts.snapshot()].some((fact) => fact.kind === 'names' && fact.manifest === image))
  },
)
