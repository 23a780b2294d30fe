import t from 'tap'
import type { Manifest } from '../../../src/oci/image-source.ts'
import type { Digest, QciTag } from '../../../src/oci/reference.ts'
import { createDigestsByTag, tagKey } from '../../../src/upstream/cache/digests-by-tag.ts'
import {
  answerForSet,
  deleteOtherSets,
  deleteTag,
  digestsOfOtherSets,
} from '../../../src/upstream/cache/other-accept-sets.ts'

const tag = 'ocp_4.5_base' as QciTag
const [older, newer] = ['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}` as Digest) as [Digest, Digest]
const index = 'application/vnd.oci.image.index.v1+json'

await t.test(
  'the digests that other Accept sets got for a tag, the newest first, each once',
  async (test) => {
    const tags = createDigestsByTag({ tagTtlMs: 0, staleIfErrorMs: 1000, now: () => 5000 })
    test.strictSame(digestsOfOtherSets(tags, tag), [])
    tags.confirm(tagKey(tag, '0'), older, 4500)
    tags.confirm(tagKey(tag, '0123456'), newer, 4600)
    tags.confirm(tagKey(tag, ''), older, 4400)
    tags.confirm(tagKey(tag, '3'), newer, 3000)
    tags.confirm(tagKey('ocp_4.5_base2', '3'), newer, 4900)
    test.strictSame(digestsOfOtherSets(tags, tag), [newer, older])
    deleteTag(tags, tag)
    test.strictSame(digestsOfOtherSets(tags, tag), [])
    test.equal(tags.size(), 1)
  },
)

await t.test('only the newest, and only if its type is in this Accept', async (test) => {
  const manifest: Manifest = {
    digest: newer,
    mediaType: index,
    size: 2,
    content: Buffer.from('{}'),
    isStale: false,
  }
  const read = async (digest: Digest) => (digest === newer ? manifest : undefined)
  test.equal(await answerForSet([newer, older], `text/plain, ${index}`, read), manifest)
  test.equal(await answerForSet([newer], `${index}.other, text/plain`, read), undefined)
  test.equal(
    await answerForSet([older, newer], index, read),
    undefined,
    'an older answer is not the last one',
  )
  test.equal(await answerForSet([], index, read), undefined)
})

await t.test(
  'a tag that upstream does not have is deleted for all sets, if Accept is no reason',
  async (test) => {
    const tags = createDigestsByTag({ tagTtlMs: 0, staleIfErrorMs: 1000, now: () => 5000 })
    const keys = ['0', '1', '2', '3', '4'].map((key) => tagKey(tag, key))
    const [typed = '', unknown = '', explained = '', later = '', confirmed = ''] = keys
    const other = `sha256:${'c'.repeat(64)}` as Digest
    tags.confirm(typed, newer, 4500)
    tags.confirm(unknown, older, 4500)
    tags.confirm(explained, other, 4500)
    tags.confirm(later, newer, 4900)
    tags.confirm(confirmed, newer, 4500)
    tags.confirm(tagKey('ocp_4.5_base2', '0'), newer, 4500)
    const read = async (digest: Digest) => {
      // Upstream answers another request at the same time.
      tags.confirm(confirmed, newer, 4950)
      if (digest === older) return undefined
      return await Promise.resolve({ mediaType: digest === newer ? index : 'text/plain' })
    }
    await deleteOtherSets(tags, { reference: tag, accept: `text/html, ${index}`, sentAt: 4800 }, read)
    test.strictSame(
      keys.map((key) => tags.get(key) !== undefined),
      [false, false, true, true, true],
    )
    test.ok(tags.get(tagKey('ocp_4.5_base2', '0')))
  },
)
