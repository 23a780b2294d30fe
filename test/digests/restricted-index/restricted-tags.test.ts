import t from 'tap'
import { RestrictedTags } from '../../../src/digests/restricted-index/restricted-tags.ts'
import { digestOf, locate } from '../fixtures.ts'

const image = digestOf('image')
const attached = [`sha256-${image.slice(7)}.sig`, `sha256-${digestOf('other').slice(7)}.sig`]
const owned = ['ocp-priv_a_b', '20240101000000_prune_more-priv_a_b']
const tags = new RestrictedTags({ locate, isRestrictedDigest: (digest) => digest === image })

async function* pages(): AsyncGenerator<readonly string[]> {
  yield [...attached, 'ocp_a_b', owned[0]!]
  yield ['latest', owned[1]!]
}

await t.test('tags of restricted namespaces, and the namespaces', async (test) => {
  const namespaces = new Set<string>()
  test.strictSame(await Array.fromAsync(tags.ownedOf(pages(), namespaces)), owned)
  test.strictSame([...namespaces], ['ocp-priv', 'more-priv'])
  test.strictSame(await Array.fromAsync(tags.ownedOf(pages())), owned)
  test.strictSame([tags.namespaceOf(''), tags.namespaceOf('latest')], [undefined, undefined])
})

await t.test('tags that stand for restricted digests', async (test) => {
  test.strictSame(await Array.fromAsync(tags.attachedOf(pages())), [attached[0]])
})
