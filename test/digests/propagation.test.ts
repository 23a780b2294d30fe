import t from 'tap'
import { keyOf, type DigestKey } from '../../src/digests/digest-key.ts'
import { ManifestNames } from '../../src/digests/manifest-names.ts'
import { maxDepth, Propagation } from '../../src/digests/propagation.ts'
import { SightingStores } from '../../src/digests/sighting-stores.ts'
import { at, digestOf } from './fixtures.ts'

const setUp = () => {
  const stores = new SightingStores({ maxOpen: 100_000, maxPerNamespace: 10, onFull: () => undefined })
  const names = new ManifestNames(1e7)
  const closed: DigestKey[] = []
  const propagation = new Propagation(names, (key) => closed.push(key))
  const spread = (name: string, closes = false) => {
    const added = [{ location: at('ocp'), seenAt: 0 }]
    propagation.add(keyOf(digestOf(name)), [{ store: stores.open, added }], closes ? 'tag' : undefined)
    propagation.run()
  }
  const manifest = (name: string, manifests: readonly string[], blobs: readonly string[] = []) =>
    names.set(
      keyOf(digestOf(name)),
      { manifests: manifests.map((one) => digestOf(one)), blobs: blobs.map((one) => digestOf(one)) },
      { isRestricted: false, isOwn: true },
    )
  const isReached = (name: string) => stores.open.get(keyOf(digestOf(name))) !== undefined
  return { propagation, stores, closed, spread, manifest, isReached }
}

await t.test('a sighting reaches the manifests and blobs below, which share one object', async (test) => {
  const { stores, closed, spread, manifest } = setUp()
  manifest('index', ['image'], [])
  manifest('image', [], ['layer'])
  spread('index')
  const reached = ['index', 'image', 'layer'].map((name) => stores.open.get(keyOf(digestOf(name))))
  test.equal(reached[0]?.list.length, 1)
  test.equal(new Set(reached).size, 1)
  test.strictSame(closed, [])
  spread('index', true)
  test.equal(closed.length, 3, 'a restricted tag closes each of them')
})

await t.test('levels below the bound are not followed, and a blob has no children', async (test) => {
  const { spread, manifest, isReached } = setUp()
  for (let level = 0; level < 10; level++) manifest(`level ${level}`, [`level ${level + 1}`])
  manifest('image', [], ['blob'])
  manifest('blob', ['below a blob'])
  spread('level 0')
  spread('image')
  test.ok(isReached(`level ${maxDepth}`))
  test.notOk(isReached(`level ${maxDepth + 1}`))
  test.ok(isReached('blob'))
  test.notOk(isReached('below a blob'))
})

await t.test(
  'attack: indexes that name the same indexes at each level are followed once each',
  async (test) => {
    const { closed, spread, manifest } = setUp()
    const level = (depth: number) => Array.from({ length: 10 }, (_, index) => `${depth}/${index}`)
    manifest('root', level(1))
    for (const depth of [1, 2, 3]) for (const name of level(depth)) manifest(name, level(depth + 1))
    spread('root', true)
    test.ok(closed.length <= 1 + 10 + 3 * 100, `${closed.length} touches`)
  },
)

await t.test('a wide image is propagated in slices', async (test) => {
  const { propagation, spread, manifest, isReached } = setUp()
  const layers = Array.from({ length: 5000 }, (_, index) => `layer ${index}`)
  manifest('wide', [], layers)
  spread('wide')
  test.notOk(layers.every(isReached))
  await propagation.settled(propagation.mark())
  await propagation.settled()
  test.ok(layers.every(isReached))
})
