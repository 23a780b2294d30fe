import t from 'tap'
import { Facts, type Fact } from '../../src/digests/facts.ts'
import { ReachGraph } from '../../src/digests/reach-graph.ts'
import { createRecordUnreadable } from '../../src/digests/unreadable-manifest.ts'
import type { QciTag } from '../../src/oci/reference.ts'
import { digestOf, locate } from './fixtures.ts'

const [image, layer, other] = [digestOf('image'), digestOf('layer'), digestOf('other')]
const restricted = 'ocp-priv_4.15_base' as QciTag
const none = { manifests: [], blobs: [] }

const setUp = () => {
  const graph = new ReachGraph()
  const published: Fact[] = []
  const facts = new Facts({ graph, locate, publish: async (told) => void published.push(...told) })
  return { graph, facts, published, record: createRecordUnreadable({ facts, graph, locate }) }
}

await t.test(
  'under a restricted tag, all that it mentions is closed, here and for other replicas',
  async (test) => {
    const { graph, published, record } = setUp()
    await record(restricted, image, () => [layer, image, other])
    for (const digest of [image, layer, other]) test.match(graph.reachOf(digest), { isRestricted: true })
    test.strictSame(graph.manifestsOf(image), [layer, other], 'each may be a manifest, and is followed')
    test.match(published, [
      { kind: 'tag', tag: restricted, isRestricted: true },
      { kind: 'names', manifest: image, manifests: [layer, other], isRestricted: true },
    ])
  },
)

await t.test('below a restricted index, and attached to a restricted image', async (test) => {
  const { graph, facts, record } = setUp()
  await record(undefined, image, () => [layer])
  test.match(graph.reachOf(layer), { isRestricted: false })
  await facts.record(restricted, other, { manifests: [image], blobs: [] })
  await record(undefined, image, () => [layer])
  test.match(graph.reachOf(layer), { isRestricted: true })
  const signature = digestOf('signature')
  const tag = `sha256-${other.slice(7)}.sig` as QciTag
  await record(tag, signature, () => [digestOf('payload')])
  test.match(graph.reachOf(digestOf('payload')), { isRestricted: true })
})

await t.test('attack: under any other tag it opens nothing', async (test) => {
  const { graph, facts, published, record } = setUp()
  await facts.record(restricted, digestOf('x'), { manifests: [], blobs: [layer] })
  await facts.record(restricted, image, none)
  published.length = 0
  for (const tag of ['ocp_4.15_base', 'latest', `sha256-${other.slice(7)}.sig`] as QciTag[])
    await record(tag, image, () => {
      throw new Error('nobody searches its text')
    })
  test.match(graph.reachOf(layer), { isOpen: false, isUnowned: false, isRestricted: true })
  test.strictSame(published, [])
})

await t.test(
  'attack: more mentions than a manifest may have close none by name, and stay unknown',
  async (test) => {
    const many = Array.from({ length: 2001 }, (_, number) => digestOf(String(number)))
    for (const count of [2000, 2001]) {
      const { graph, record, published } = setUp()
      await record(restricted, image, () => [image, ...many.slice(0, count)])
      await graph.settled()
      const isNamed = count === 2000
      test.equal(graph.manifestsOf(image)?.length, isNamed ? 2000 : undefined)
      test.equal(
        many.slice(0, count).every((digest) => graph.reachOf(digest).isRestricted),
        isNamed,
      )
      test.match(graph.reachOf(image), { isRestricted: true })
      test.equal(published.length, isNamed ? 2 : 1)
    }
  },
)
