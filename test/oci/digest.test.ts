import t from 'tap'
import { isDigest } from '../../src/oci/digest.ts'

const hex = 'a'.repeat(64)

await t.test('a digest has a registered algorithm, in lower case', async (test) => {
  for (const digest of [`sha256:${hex}`, `sha512:${hex}${hex}`]) test.ok(isDigest(digest))
  for (const text of [
    '',
    `sha256:${hex}0`,
    `sha256:${hex.toUpperCase()}`,
    `sha512:${hex}`,
    `md5:${hex}`,
    `sha256:${hex}\n`,
  ])
    test.notOk(isDigest(text), text)
})
