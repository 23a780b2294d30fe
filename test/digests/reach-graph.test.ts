import t from 'tap'
import { ReachGraph, type ReachGraphOptions } from '../../src/digests/reach-graph.ts'
import { unseen, type Location } from '../../src/digests/sightings.ts'
import type { Digest } from '../../src/oci/reference.ts'
import {
  at,
  attachedTo,
  createRandom,
  digestOf,
  ofNobody,
  permutations,
  shuffled,
  sorted,
} from './fixtures.ts'

const dayMs = 24 * 3600_000
const [index, image, other, layer, config] = ['index', 'image', 'other', 'layer', 'config'].map((text) =>
  digestOf(text),
) as [Digest, Digest, Digest, Digest, Digest]
const none = { manifests: [], blobs: [] }

const setUp = (options: ReachGraphOptions = {}) => {
  const clock = { now: 0 }
  const graph = new ReachGraph({ now: () => clock.now, ...options })
  return {
    clock,
    graph,
    tag: (location: Location, digest: Digest) => graph.recordTag(location, digest, clock.now),
    manifest: (digest: Digest, blobs: readonly Digest[], manifests: readonly Digest[] = []) =>
      graph.recordManifest(digest, { manifests, blobs }),
  }
}

await t.test(
  'an unseen digest, and children of a manifest without a tag, have no sightings',
  async (test) => {
    const { graph, manifest } = setUp()
    test.strictSame(graph.reachOf(image), unseen)
    manifest(image, [layer])
    test.strictSame(
      [image, layer].map((one) => graph.reachOf(one)),
      [unseen, unseen],
    )
    test.strictSame(graph.childrenOf(image), { manifests: [], blobs: [layer] })
    test.strictSame(graph.manifestsOf(image), [])
    test.strictSame([graph.childrenOf(layer), graph.manifestsOf(layer)], [undefined, undefined])
  },
)

await t.test('generated: index, child, layer and tags give the same graph in any order', async (test) => {
  const steps = {
    index: ({ graph }) => graph.recordManifest(index, { manifests: [image], blobs: [] }),
    image: ({ graph }) => graph.recordManifest(image, { manifests: [], blobs: [layer, config] }),
    other: ({ graph }) => graph.recordManifest(other, { manifests: [], blobs: [layer] }),
    restricted: ({ tag }) => tag(at('ocp-priv'), index),
    open: ({ tag }) => tag(at('ocp'), other),
  } satisfies Record<string, (known: ReturnType<typeof setUp>) => void>
  let orders = 0
  for (const order of permutations(Object.keys(steps) as (keyof typeof steps)[])) {
    const known = setUp()
    for (const step of order) steps[step](known)
    await known.graph.settled()
    const restricted = { ...unseen, isRestricted: true, imageStreams: ['ocp-priv/app'] }
    const expected = {
      index: restricted,
      image: restricted,
      config: restricted,
      other: { ...unseen, isOpen: true, imageStreams: ['ocp/app'] },
      layer: { ...unseen, isOpen: true, isRestricted: true, imageStreams: ['ocp-priv/app', 'ocp/app'] },
    }
    const found = { index, image, config, other, layer }
    for (const [name, digest] of Object.entries(found))
      test.strictSame(
        sorted(known.graph.reachOf(digest)),
        expected[name as keyof typeof expected],
        `${name}: ${order.join()}`,
      )
    orders += 1
  }
  test.equal(orders, 120)
})

await t.test('open sightings end after a day, and restricted digests stay closed', async (test) => {
  const { graph, tag, manifest, clock } = setUp()
  manifest(image, [layer])
  tag(at('ocp'), image)
  tag(at('ocp-priv'), image)
  clock.now = dayMs
  for (const digest of [image, layer])
    test.match(graph.reachOf(digest), { isOpen: false, isRestricted: true })
  clock.now = 31 * dayMs
  for (const digest of [image, layer])
    test.strictSame(graph.reachOf(digest), { ...unseen, isRestricted: true })
})

await t.test('a tag without an owner reaches digests, and opens nothing by itself', async (test) => {
  const { graph, tag, manifest } = setUp()
  manifest(image, [layer])
  tag(ofNobody, image)
  test.strictSame(graph.reachOf(layer), { ...unseen, isUnowned: true })
  tag(at('ocp-priv'), image)
  test.match(graph.reachOf(layer), { isOpen: false, isUnowned: true, isRestricted: true })
})

await t.test(
  'content of a tag that stands for a digest is as open as that digest, in either order',
  async (test) => {
    const signature = digestOf('signature')
    const places = { open: at('ocp'), restricted: at('ocp-priv'), nobody: ofNobody, unseen: undefined }
    for (const [name, place] of Object.entries(places))
      for (const isFirst of [true, false]) {
        const { graph, tag, manifest } = setUp()
        manifest(signature, [layer])
        if (isFirst) tag(attachedTo(image), signature)
        if (place !== undefined) tag(place, image)
        if (!isFirst) tag(attachedTo(image), signature)
        for (const digest of [signature, layer])
          test.match(
            graph.reachOf(digest),
            {
              isOpen: name === 'open',
              isRestricted: name === 'restricted',
              isUnowned: name === 'nobody',
              attachedTo: [image],
            },
            `${name} ${isFirst}`,
          )
      }
  },
)

await t.test('chains and cycles of tags that stand for digests end', async (test) => {
  const chain = Array.from({ length: 20 }, (_, link) => digestOf(`link ${link}`))
  for (const order of [chain, chain.toReversed()]) {
    const { graph, tag } = setUp()
    for (const digest of order) {
      const next = chain[chain.indexOf(digest) + 1]
      if (next !== undefined) tag(attachedTo(next), digest)
    }
    test.match(graph.reachOf(chain[0]!), { isRestricted: false, isOpen: false })
    tag(at('ocp-priv'), chain.at(-1)!)
    for (const digest of chain) test.equal(graph.reachOf(digest).isRestricted, true)
    tag(attachedTo(chain[0]!), chain.at(-1)!)
    tag(attachedTo(image), image)
    for (const digest of chain) test.equal(graph.reachOf(digest).isRestricted, true)
    test.match(graph.reachOf(image), { isRestricted: false, attachedTo: [image] })
  }
})

await t.test(
  'attack: many digests that stand for each other are visited once each, or closed',
  async (test) => {
    const { graph, tag } = setUp()
    const all = Array.from({ length: 40 }, (_, number) => digestOf(`mutual ${number}`))
    for (const one of all) for (const another of all) tag(attachedTo(another), one)
    test.match(graph.reachOf(all[0]!), { isRestricted: false })
    const long = Array.from({ length: 1100 }, (_, number) => digestOf(`long ${number}`))
    for (const [number, one] of long.entries()) tag(attachedTo(digestOf(`long ${number + 1}`)), one)
    test.equal(graph.reachOf(long[0]!).isRestricted, true, 'what is too far to be looked at is not open')
    test.equal(graph.reachOf(long[500]!).isRestricted, false)
  },
)

await t.test('attached content closes with its image, even after its own sighting', async (test) => {
  const { graph, tag, manifest, clock } = setUp({ maxOpen: 10 })
  const signature = digestOf('signature')
  manifest(signature, [layer])
  tag(attachedTo(image), signature)
  tag(at('ocp-priv'), image)
  for (let number = 0; number < 100; number++) tag(at('ocp'), digestOf(String(number)))
  clock.now = 40 * dayMs
  for (const digest of [signature, layer]) test.equal(graph.reachOf(digest).isRestricted, true)
})

await t.test(
  'attack: restricted facts survive a flood of open ones and of another namespace',
  async (test) => {
    const full: string[] = []
    const { graph, tag, manifest } = setUp({
      maxOpen: 1000,
      maxPerNamespace: 5000,
      maxNamesBytes: 100_000,
      onFull: (namespace) => void full.push(namespace),
    })
    manifest(index, [], [image])
    manifest(image, [layer])
    tag(at('ocp-priv'), index)
    for (const place of [at('ocp'), at('evil-priv')])
      for (let flood = 0; flood < 50; flood++) {
        const wide = digestOf(`${JSON.stringify(place)} ${flood}`)
        manifest(
          wide,
          Array.from({ length: 2000 }, (_, number) => digestOf(`${flood} ${number}`)),
        )
        tag(place, wide)
        await graph.settled()
      }
    for (const digest of [index, image, layer])
      test.strictSame(sorted(graph.reachOf(digest)), {
        ...unseen,
        isRestricted: true,
        imageStreams: ['ocp-priv/app'],
      })
    test.strictSame(full, ['evil-priv'])
    test.equal(graph.counts().digests, 1000)
    test.equal(graph.counts().restrictedDigests, 3 + 50 * 2001)
    test.ok(graph.counts().manifests <= 4)
    test.match(
      graph.reachOf(digestOf('0 0')),
      { isRestricted: true, isOpen: false },
      'closed, though forgotten',
    )
  },
)

await t.test(
  'restricted manifests evict the names of each other: what they name stays closed',
  async (test) => {
    const graph = new ReachGraph({ maxNamesBytes: 500 })
    for (const name of ['one', 'two', 'three']) {
      test.equal(graph.hasForgottenNames, false)
      graph.recordManifest(digestOf(name), { manifests: [], blobs: [digestOf(`${name} layer`)] })
      graph.recordTag(at('ocp-priv'), digestOf(name), Date.now())
    }
    test.equal(graph.hasForgottenNames, true)
    test.equal(graph.childrenOf(digestOf('one')), undefined)
    test.match(graph.reachOf(digestOf('one layer')), { isRestricted: true })
  },
)

await t.test('a full namespace stores new sightings, so that a pull by tag helps', async (test) => {
  const { graph, tag } = setUp({ maxPerNamespace: 2 })
  for (const digest of [index, image, other]) tag(at('ocp-priv'), digest)
  test.strictSame(graph.reachOf(index), { ...unseen, isRestricted: true })
  tag(at('ocp-priv'), index)
  test.match(graph.reachOf(index), { imageStreams: [{ namespace: 'ocp-priv' }] })
})

await t.test('a closed manifest without sightings still closes its children', async (test) => {
  const { graph, tag, manifest } = setUp({ maxPerNamespace: 1 })
  tag(at('ocp-priv'), image)
  tag(at('ocp-priv'), other)
  manifest(image, [layer])
  test.equal(graph.reachOf(layer).isRestricted, true)
})

await t.test(
  'requests get a turn while a wide index is recorded, and settled waits for all of it',
  async (test) => {
    const { graph, tag, manifest } = setUp({ maxPerNamespace: 1_000_000 })
    const children = Array.from({ length: 128 }, (_, child) => digestOf(`child ${child}`))
    const blobsOf = (child: number) =>
      Array.from(
        { length: 2000 },
        (_, blob) => `sha256:${(child * 2000 + blob).toString(16).padStart(8, '0').repeat(8)}` as Digest,
      )
    for (const [number, child] of children.entries()) manifest(child, blobsOf(number))
    manifest(index, [], children)
    let turns = 0
    let isOver = false
    const count = () => {
      turns += 1
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    tag(at('ocp-priv'), index)
    test.match(graph.reachOf(index), { isRestricted: true }, 'the manifest itself is known at once')
    await graph.settled()
    isOver = true
    test.ok(turns > 50, `${turns} turns`)
    test.equal(graph.counts().restrictedDigests, 1 + 128 + 128 * 2000)
    for (const child of [0, 50, 127])
      for (const blob of [blobsOf(child)[0]!, blobsOf(child)[1999]!])
        test.match(graph.reachOf(blob), { isRestricted: true, imageStreams: [{ namespace: 'ocp-priv' }] })
  },
)

await t.test(
  'attack: indexes that name the same indexes, level by level, are followed once each',
  async (test) => {
    const { graph, tag, manifest } = setUp()
    const levels = Array.from({ length: 5 }, (_, level) =>
      Array.from({ length: 100 }, (__, number) => digestOf(`level ${level} ${number}`)),
    )
    for (const [level, digests] of levels.entries())
      for (const digest of digests) manifest(digest, level === 4 ? [layer] : [], levels[level + 1] ?? [])
    manifest(index, [], levels[0])
    // 10^10 paths.
    tag(at('ocp-priv'), index)
    await graph.settled()
    test.equal(graph.reachOf(levels[4]![99]!).isRestricted, true)
  },
)

await t.test(
  'a manifest that is first met on a deep level is followed again from a higher one',
  async (test) => {
    const { graph, tag, manifest } = setUp()
    const chain = Array.from({ length: 5 }, (_, link) => digestOf(`down ${link}`))
    for (const [link, digest] of chain.entries())
      manifest(digest, link === 4 ? [layer] : [], chain.slice(link + 1, link + 2))
    // The last child is followed first: the chain is met at its end before it is met at its beginning.
    const up = [digestOf('up 0'), digestOf('up 1'), digestOf('up 2')]
    manifest(up[2]!, [], [chain[0]!])
    manifest(up[1]!, [], [up[2]!])
    manifest(up[0]!, [], [chain[0]!, up[1]!])
    tag(at('ocp-priv'), up[0]!)
    test.equal(graph.reachOf(chain[4]!).isRestricted, true)
  },
)

await t.test('parents are the manifests that no open tag reaches, by their blobs', async (test) => {
  const { graph, tag, manifest } = setUp()
  const open = digestOf('open')
  tag(at('ocp'), open)
  for (const one of [image, open, other, other]) manifest(one, [layer, layer])
  test.strictSame(graph.parentsOf(layer), [image, other])
  manifest(index, [image], [])
  test.strictSame(graph.parentsOf(image), [], 'attack: a manifest is no blob, whatever names it as one')
  const late = digestOf('late')
  manifest(digestOf('names a manifest as a blob'), [late])
  test.equal(graph.parentsOf(late).length, 1)
  manifest(late, [])
  test.strictSame(graph.parentsOf(late), [])
  for (let number = 0; number < 100; number++) manifest(digestOf(`parent ${number}`), [layer])
  test.strictSame(
    graph.parentsOf(layer),
    Array.from({ length: 32 }, (_, number) => digestOf(`parent ${number + 68}`)),
  )
  test.strictSame(graph.parentsOf(digestOf('unknown')), [])
})

await t.test('generated: random graphs in any order end in the closure of their facts', async (test) => {
  for (let seed = 0; seed < 40; seed++) {
    const random = createRandom(seed)
    const digests = Array.from({ length: 12 }, (_, number) => digestOf(`node ${number}`))
    const names = digests.map((_, number) =>
      digests
        .slice(number + 1)
        .filter(() => random(4) === 0)
        .slice(0, 3),
    )
    const tags = Array.from(
      { length: 6 },
      () =>
        [
          [at('ocp'), at('ocp-priv'), at('more-priv'), ofNobody][random(4)] as Location,
          digests[random(6)] as Digest,
        ] as const,
    )
    const expected = digests.map(() => new Set<string>())
    const spread = (number: number, location: string, depth: number): void => {
      expected[number]?.add(location)
      if (depth < 5)
        for (const child of names[number] ?? []) spread(digests.indexOf(child), location, depth + 1)
    }
    for (const [location, digest] of tags) spread(digests.indexOf(digest), JSON.stringify(location), 0)
    const { graph, tag } = setUp()
    const steps = [
      ...digests.map(
        (digest, number) => () => graph.recordManifest(digest, { ...none, manifests: names[number] ?? [] }),
      ),
      ...tags.map(
        ([location, digest]) =>
          () =>
            tag(location, digest),
      ),
    ]
    for (const step of shuffled(steps, random)) step()
    await graph.settled()
    for (const [number, digest] of digests.entries()) {
      const locations = [...(expected[number] ?? [])].map((text) => JSON.parse(text) as Location)
      const streams = locations.filter((location) => location.by === 'image-stream')
      // Names are followed five levels below a tag, and five more where they are learnt later: no less than expected.
      const { imageStreams, isOpen, isRestricted, isUnowned } = graph.reachOf(digest)
      const found = new Set(imageStreams.map(({ namespace }) => namespace))
      test.ok(
        streams.every(({ imageStream }) => found.has(imageStream.namespace)) &&
          (isOpen || streams.every((one) => one.isRestricted)) &&
          (isRestricted || streams.every((one) => !one.isRestricted)) &&
          (isUnowned || locations.every(({ by }) => by !== 'qci')),
        `seed ${seed}, node ${number}`,
      )
      if (locations.length === 0 && names.every((some) => !some.includes(digest)))
        test.strictSame(graph.reachOf(digest), unseen)
    }
  }
})

await t.test(
  'attack: another replica lists too few or other children, before or after this one has read them',
  async (test) => {
    const few = { manifests: [], blobs: [config] }
    const whole = { manifests: [], blobs: [layer, config] }
    for (const order of ['foreign first', 'own first', 'both foreign'])
      for (const tagFirst of [true, false]) {
        const graph = new ReachGraph()
        const tag = () => graph.recordTag(at('ocp-priv'), image, Date.now())
        if (tagFirst) tag()
        if (order === 'own first') test.equal(graph.recordManifest(image, whole), true)
        test.equal(graph.recordManifest(image, few, false), order !== 'own first')
        test.equal(graph.recordManifest(image, whole, order !== 'both foreign'), order !== 'own first')
        test.equal(graph.recordManifest(image, few, false), false)
        if (!tagFirst) tag()
        for (const digest of [image, layer, config])
          test.match(graph.reachOf(digest), { isRestricted: true }, `${order} ${tagFirst}`)
        test.strictSame(graph.childrenOf(image)?.blobs.toSorted(), whole.blobs.toSorted())
      }
  },
)

await t.test(
  'attack: a false list of another replica opens no blob by its manifest, once this one has read it',
  async (test) => {
    const graph = new ReachGraph()
    graph.recordManifest(image, { manifests: [], blobs: [layer, config] }, false)
    test.strictSame([graph.parentsOf(layer), graph.parentsOf(config)], [[image], [image]])
    graph.recordManifest(image, { manifests: [], blobs: [config] })
    test.strictSame([graph.parentsOf(layer), graph.parentsOf(config)], [[], [image]])
  },
)

await t.test('what a tag has reached is known after the fact has expired', async (test) => {
  let now = 1e12
  const graph = new ReachGraph({ now: () => now })
  graph.recordManifest(image, { manifests: [], blobs: [layer] })
  test.equal(graph.wasReached(layer), false)
  graph.recordTag(at('ocp'), image, now)
  now += 48 * 3600_000
  test.match(graph.reachOf(layer), { isOpen: false })
  test.strictSame([graph.wasReached(layer), graph.wasReached(other)], [true, false])
})

await t.test(
  'attack: a tag that stands for an open image opens what a forgotten restricted tag reached',
  async (test) => {
    const { graph, tag, manifest, clock } = setUp()
    manifest(other, [layer])
    tag(at('ocp-priv'), other)
    tag(at('ocp'), image)
    clock.now += 40 * dayMs
    tag(at('ocp'), image)
    tag(attachedTo(image), other)
    for (const digest of [other, layer])
      test.match(graph.reachOf(digest), { isRestricted: true, isOpen: false }, 'a month later')
    const signature = digestOf('signature')
    tag(at('ocp-priv'), image)
    tag(attachedTo(image), signature)
    test.match(graph.reachOf(signature), { isRestricted: true, isOpen: true }, 'its image is both')
  },
)

await t.test(
  'attack: many restricted images of one base layer hide the manifest that opens it',
  async (test) => {
    for (const isTaggedFirst of [true, false]) {
      const { graph, tag, manifest } = setUp()
      manifest(image, [layer])
      for (let number = 0; number < 40; number++) {
        const secret = digestOf(`secret ${number}`)
        if (isTaggedFirst) tag(at('ocp-priv'), secret)
        manifest(secret, [layer])
        tag(at('ocp-priv'), secret)
      }
      test.strictSame(graph.parentsOf(layer), [image])
    }
  },
)

await t.test(
  'attack: an index of many layers is recorded; a pull of another image does not wait for it',
  async (test) => {
    const { graph, tag, manifest } = setUp()
    const images = Array.from({ length: 20 }, (_, number) => digestOf(`image ${number}`))
    for (const one of images)
      manifest(
        one,
        Array.from({ length: 1000 }, (_, number) => digestOf(`${one} ${number}`)),
      )
    manifest(index, [], images)
    tag(at('ocp'), index)
    const mark = graph.mark()
    manifest(other, [layer])
    tag(at('ocp-priv'), other)
    await graph.settled(mark)
    test.match(graph.reachOf(layer), { isRestricted: true })
    test.equal(graph.wasReached(images[0]!), false, 'the index goes on')
    await graph.settled()
    test.equal(graph.wasReached(images[0]!), true)
  },
)
