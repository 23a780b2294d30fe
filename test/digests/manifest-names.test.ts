import t from 'tap'
import { digestOf as textOf, keyOf, splitKeys } from '../../src/digests/digest-key.ts'
import { ManifestNames } from '../../src/digests/manifest-names.ts'
import { digestOf } from './fixtures.ts'

const image = keyOf(digestOf('image'))
const children = { manifests: [digestOf('a')], blobs: [digestOf('b'), digestOf('c')] }

await t.test('the children of open and of restricted manifests', async (test) => {
  for (const isRestricted of [true, false]) {
    const names = new ManifestNames(10_000)
    names.set(image, children, isRestricted)
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
    names.set(image, children, closes === 'at once')
    if (closes === 'later') names.close(image)
    for (let index = 0; index < 1000; index++) names.set(keyOf(digestOf(String(index))), children, false)
    test.equal(names.get(image) !== undefined, closes !== 'never', closes)
    test.ok(names.size < 100)
  }
})
