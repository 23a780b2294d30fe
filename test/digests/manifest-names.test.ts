import t from 'tap'
import { digestOf as textOf, keyOf, splitKeys } from '../../src/digests/digest-key.ts'
import { ManifestNames } from '../../src/digests/manifest-names.ts'
import { digestOf } from './fixtures.ts'

const image = keyOf(digestOf('image'))
const children = { manifests: [digestOf('a')], blobs: [digestOf('b'), digestOf('c')] }

await t.test('the children of open and of restricted manifests', async (test) => {
  for (const isRestricted of [true, false]) {
    const names = new ManifestNames(10_000)
    names.set(image, children, { isRestricted, isOwn: true })
    names.close(image)
    names.close(image)
    const found = names.get(image)
    test.strictSame([...splitKeys(found?.manifests ?? '')].map(textOf), children.manifests)
    test.strictSame([...splitKeys(found?.blobs ?? '')].map(textOf), children.blobs)
    test.equal(names.size, 1)
    test.equal(names.get(keyOf(digestOf('other'))), undefined)
  }
})

await t.test('attack: manifests of other projects do not evict restricted ones', async (test) => {
  for (const closes of ['at once', 'later', 'never']) {
    const names = new ManifestNames(10_000)
    names.set(image, children, { isRestricted: closes === 'at once', isOwn: true })
    if (closes === 'later') names.close(image)
    for (let index = 0; index < 1000; index++)
      names.set(keyOf(digestOf(String(index))), children, { isRestricted: false, isOwn: true })
    test.equal(names.get(image) !== undefined, closes !== 'never', closes)
    test.ok(names.size < 100)
  }
})

await t.test(
  'children from other replicas are added; children that this process has read replace them',
  async (test) => {
    const names = new ManifestNames(10_000)
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((text) => digestOf(text))
    const set = (manifests: string[], blobs: string[], isOwn: boolean) => {
      const change = names.set(
        image,
        { manifests: manifests as never, blobs: blobs as never },
        { isRestricted: false, isOwn },
      )
      return change && [...splitKeys(change.before.blobs)].length
    }
    const read = () => {
      const { manifests = '', blobs = '', isOwn } = names.get(image) ?? {}
      return [[...splitKeys(manifests)].map(textOf), [...splitKeys(blobs)].map(textOf), isOwn]
    }
    test.equal(set([a!], [b!], false), 0)
    test.equal(set([a!], [b!], false), undefined)
    test.equal(set([], [c!], false), 1)
    test.strictSame(read(), [[a], [b, c], false])
    test.equal(set([d!], [c!], true), 2)
    test.strictSame(read(), [[d], [c], true])
    test.equal(set([d!], [c!], true), undefined)
  },
)

await t.test(
  'attack: restricted manifests evict the names of others, and it is known that some are forgotten',
  async (test) => {
    const names = new ManifestNames(1000)
    for (const isRestricted of [false, true]) {
      for (let index = 0; index < 10; index++) {
        test.equal(names.hasForgotten, isRestricted && index > 3)
        names.set(keyOf(digestOf(`${index} ${isRestricted}`)), children, { isRestricted, isOwn: true })
      }
    }
  },
)
