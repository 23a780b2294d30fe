import t from 'tap'
import { Facts, type Fact } from '../../src/digests/facts.ts'
import { ReachGraph } from '../../src/digests/reach-graph.ts'
import type { Digest, QciTag } from '../../src/oci/reference.ts'
import { createRandom, digestOf, locate, shuffled, sorted } from './fixtures.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
const [index, image, layer, other] = ['index', 'image', 'layer', 'other'].map((text) => digestOf(text)) as [
  Digest,
  Digest,
  Digest,
  Digest,
]
const tagOf = (text: string) => text as QciTag
const open = tagOf('ocp_4.15_base')
const restricted = tagOf('ocp-priv_4.15_base')
const names = { manifests: [], blobs: [layer] }

const setUp = () => {
  const clock = { now: 1000 * dayMs }
  const now = () => clock.now
  const graph = new ReachGraph({ now })
  const published: Fact[] = []
  const facts = new Facts({ graph, locate, now, publish: async (told) => void published.push(...told) })
  const told = () => published.splice(0).map((fact) => (fact.kind === 'tag' ? fact.tag : fact.manifest))
  return { clock, graph, facts, published, told }
}

await t.test('a pull by tag is recorded in the graph, then published', async (test) => {
  const { facts, graph, published, clock } = setUp()
  await facts.record(restricted, image, names)
  test.match(graph.reachOf(layer), { isRestricted: true })
  test.strictSame(published, [
    { kind: 'tag', tag: restricted, digest: image, seenAt: clock.now, isRestricted: true },
    { kind: 'names', manifest: image, manifests: [], blobs: [layer], isRestricted: true },
  ])
  test.strictSame(
    [...facts.restrictedTags].map(([tag, { digest }]) => [tag, digest]),
    [[restricted, image]],
  )
})

await t.test('a pull by digest records no sighting, and publishes the children', async (test) => {
  const { facts, graph, published } = setUp()
  await facts.record(undefined, image, names)
  test.match(graph.reachOf(image), { isOpen: false, imageStreams: [] })
  test.match(published, [{ kind: 'names', manifest: image, isRestricted: false }])
})

await t.test(
  'attack: what one request is still publishing, a second one for it or for its child does not outrun',
  async (test) => {
    const { graph } = setUp()
    const { promise, resolve } = Promise.withResolvers<void>()
    const batches: (readonly Fact[])[] = []
    const facts = new Facts({
      graph,
      locate,
      publish: async (told) => {
        batches.push(told)
        await promise
      },
    })
    const done: string[] = []
    const record = async (name: string, ...of: Parameters<Facts['record']>) => {
      await facts.record(...of)
      done.push(name)
    }
    graph.recordManifest(image, names)
    const first = record('first', open, index, { manifests: [image], blobs: [] })
    const others = [
      record('the same tag', open, index, { manifests: [image], blobs: [] }),
      record('its child', undefined, image, names),
    ]
    await record('another', undefined, other, undefined)
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    test.strictSame(done, ['another'])
    test.equal(batches.length, 1)
    resolve()
    await Promise.all([first, ...others])
    test.strictSame(done, ['another', 'first', 'the same tag', 'its child'])
    await record('later', open, index, undefined)
    test.equal(batches.length, 1)
  },
)

await t.test('HEAD records the tag alone', async (test) => {
  const { facts, graph, told } = setUp()
  await facts.record(open, image, undefined)
  test.match(graph.reachOf(image), { isOpen: true })
  test.strictSame(told(), [open])
})

await t.test('a tag is published once an hour, and recorded in the graph once a minute', async (test) => {
  const { facts, graph, told, clock } = setUp()
  await facts.record(open, image, names)
  test.strictSame(told(), [open, image])
  for (let minute = 0; minute < 59; minute++) {
    clock.now += minuteMs
    await facts.record(open, image, names)
  }
  test.strictSame(told(), [])
  clock.now += dayMs - hourMs
  test.match(graph.reachOf(image), { isOpen: true }, 'since it was seen then')
  await facts.record(open, image, names)
  test.strictSame(told(), [open, image])
})

await t.test(
  'facts that were published as open are published once again as restricted, with children',
  async (test) => {
    const { facts, told, published } = setUp()
    await facts.record(undefined, image, names)
    await facts.record(open, index, { manifests: [image], blobs: [] })
    told()
    await facts.record(restricted, index, { manifests: [image], blobs: [] })
    test.match(
      published.filter(({ kind }) => kind === 'names'),
      [
        { manifest: index, isRestricted: true },
        { manifest: image, isRestricted: true },
      ],
    )
    told()
    await facts.record(restricted, index, undefined)
    await facts.record(open, image, undefined)
    test.strictSame(told(), [open])
  },
)

await t.test('a tag that moves reaches both digests, and the newest one counts', async (test) => {
  const { facts, graph, clock } = setUp()
  await facts.record(restricted, image, names)
  clock.now += 1
  await facts.record(restricted, other, undefined)
  for (const digest of [image, other]) test.match(graph.reachOf(digest), { isRestricted: true })
  test.equal(facts.restrictedTags.get(restricted)?.digest, other)
})

await t.test('facts of another replica are applied, and not published again', async (test) => {
  const one = setUp()
  const two = setUp()
  await one.facts.record(restricted, image, names)
  two.facts.apply(one.published)
  test.match(two.graph.reachOf(layer), { isRestricted: true, imageStreams: [{ namespace: 'ocp-priv' }] })
  await two.facts.record(restricted, image, names)
  test.strictSame(two.told(), [])
  two.facts.apply([{ kind: 'tag', tag: restricted, digest: other, seenAt: 0, isRestricted: false }])
  test.equal(two.facts.restrictedTags.get(restricted)?.digest, image, 'old news')
  test.match(two.graph.reachOf(other), { isRestricted: true }, 'whether a tag is restricted is decided here')
})

await t.test(
  'an old fact does not make a fact older, and a clock that is ahead does not make one newer',
  async (test) => {
    const { facts, clock, graph } = setUp()
    await facts.record(restricted, image, names)
    const fact = { kind: 'tag', tag: restricted, digest: image, isRestricted: true } as const
    facts.apply([{ ...fact, seenAt: clock.now - dayMs }])
    test.equal(facts.restrictedTags.get(restricted)?.seenAt, clock.now)
    facts.apply([{ ...fact, seenAt: clock.now + 400 * dayMs }])
    test.equal(facts.restrictedTags.get(restricted)?.seenAt, clock.now)
    facts.apply([{ ...fact, tag: open, seenAt: clock.now + 400 * dayMs, isRestricted: false }])
    clock.now += dayMs
    test.match(graph.reachOf(image), { isOpen: false })
  },
)

await t.test('a snapshot gives another replica the same facts, restricted ones first', async (test) => {
  const one = setUp()
  await one.facts.record(open, other, { manifests: [], blobs: [layer] })
  await one.facts.record(undefined, image, names)
  await one.facts.record(restricted, index, { manifests: [image, digestOf('not fetched')], blobs: [] })
  await one.facts.record(tagOf('ocp-priv_4.15_same'), index, undefined)
  const snapshot = [...one.facts.snapshot()]
  test.strictSame(
    snapshot.map((fact) => (fact.kind === 'tag' ? fact.tag : fact.manifest)),
    [restricted, index, image, 'ocp-priv_4.15_same', open, other],
  )
  test.strictSame(
    snapshot.map(({ isRestricted }) => isRestricted),
    [true, true, true, true, false, false],
  )
  test.equal(one.facts.hasForgotten, false)
  const two = setUp()
  two.facts.apply(snapshot)
  for (const digest of [index, image, layer, other])
    test.strictSame(sorted(two.graph.reachOf(digest)), sorted(one.graph.reachOf(digest)))
  test.strictSame([...two.facts.snapshot()], snapshot)
})

await t.test('a snapshot is read to its end while facts are recorded', async (test) => {
  const { facts } = setUp()
  for (let number = 0; number < 50; number++) await facts.record(tagOf(`ocp_4.15_${number}`), image, names)
  let read = 0
  for (const fact of facts.snapshot()) {
    if (fact.kind === 'tag') read += 1
    await facts.record(tagOf(`ocp_4.15_${read % 50}`), digestOf(String(read)), undefined)
  }
  test.equal(read, 50)
})

await t.test('attack: endless indexes within indexes are published to the bound on depth', async (test) => {
  const { facts } = setUp()
  const chain = Array.from({ length: 20_000 }, (_, link) => digestOf(`link ${link}`))
  for (const [link, digest] of chain.entries())
    await facts.record(undefined, digest, { manifests: chain.slice(link + 1, link + 2), blobs: [] })
  await facts.record(restricted, chain[0]!, undefined)
  test.equal([...facts.snapshot()].filter(({ isRestricted }) => isRestricted).length, 6)
})

await t.test('a sweep drops pruned tags; the digests that they reached stay closed', async (test) => {
  const { facts, graph, clock } = setUp()
  await facts.record(restricted, image, names)
  clock.now += 10 * dayMs
  await facts.record(tagOf('ocp-priv_4.15_new'), other, undefined)
  facts.sweep()
  test.equal(facts.restrictedTags.size, 2)
  clock.now += 20 * dayMs + 1
  facts.sweep()
  test.strictSame([...facts.restrictedTags.keys()], ['ocp-priv_4.15_new'])
  test.equal([...facts.snapshot()].length, 1)
  test.match(graph.reachOf(image), { isRestricted: true })
})

await t.test('the system clock is used unless one is given', async (test) => {
  const published: Fact[] = []
  const facts = new Facts({
    graph: new ReachGraph(),
    locate,
    publish: async (told) => void published.push(...told),
  })
  const before = Date.now()
  await facts.record(open, image, undefined)
  const [fact] = published
  test.ok(fact?.kind === 'tag' && fact.seenAt >= before && fact.seenAt <= Date.now())
})

await t.test(
  'generated: two replicas that publish all facts in random orders have the same graph',
  async (test) => {
    const digests = Array.from({ length: 10 }, (_, number) => digestOf(`node ${number}`))
    for (let seed = 0; seed < 60; seed++) {
      const random = createRandom(seed)
      const replicas = [setUp(), setUp()] as const
      for (let step = 0; step < 30; step++) {
        const { facts, clock } = replicas[random(2)] as (typeof replicas)[0]
        for (const replica of replicas) replica.clock.now += random(20) * minuteMs
        const number = random(10)
        const children = {
          manifests: digests.slice(number + 1, number + 3),
          blobs: [digestOf(`blob ${number % 3}`)],
        }
        const tags = [
          `ocp_4.15_${random(3)}`,
          `ocp-priv_4.15_${random(3)}`,
          'latest',
          `sha256-${digests[random(10)]!.slice(7)}.sig`,
          undefined,
        ]
        await facts.record(
          tags[random(5)] as QciTag | undefined,
          digests[number]!,
          random(4) === 0 ? undefined : children,
        )
        test.ok(clock.now > 0)
      }
      const now = Math.max(...replicas.map(({ clock }) => clock.now))
      const all = replicas.map(({ published }) => [...published])
      for (const [number, replica] of replicas.entries()) {
        replica.clock.now = now
        replica.facts.apply(shuffled(all[1 - number] ?? [], random))
        await replica.graph.settled()
      }
      const [one, two] = replicas.map(({ graph, facts }) => ({
        reaches: [...digests, ...[0, 1, 2].map((number) => digestOf(`blob ${number}`))].map((digest) => {
          const { attachedTo: _attachedTo, imageStreams, ...reach } = graph.reachOf(digest)
          return {
            ...reach,
            imageStreams: [
              ...new Set(imageStreams.map(({ namespace, name }) => `${namespace}/${name}`)),
            ].toSorted(),
          }
        }),
        tags: [...facts.restrictedTags].map(([tag, { digest }]) => `${tag} ${digest}`).toSorted(),
      }))
      test.strictSame(one, two, `seed ${seed}`)
    }
  },
)

await t.test(
  'children that another replica listed wrongly are published as this one has read them',
  async (test) => {
    const { facts, graph, told, published } = setUp()
    facts.apply([{ kind: 'names', manifest: image, manifests: [], blobs: [other], isRestricted: true }])
    await facts.record(undefined, image, names)
    test.strictSame(published, [{ kind: 'names', manifest: image, ...names, isRestricted: false }])
    test.strictSame(graph.childrenOf(image), names)
    told()
    facts.apply([{ kind: 'names', manifest: image, manifests: [], blobs: [other], isRestricted: true }])
    await facts.record(undefined, image, names)
    test.strictSame([told(), graph.childrenOf(image)], [[], names])
  },
)
