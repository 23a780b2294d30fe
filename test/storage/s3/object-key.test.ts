import t from 'tap'
import { objectKey } from '../../../src/storage/s3/object-key.ts'

await t.test('keys by kind and digest, below a prefix', async (test) => {
  const hex = 'ab'.repeat(32)
  test.equal(objectKey('', 'blobs', `sha256:${hex}`), `blobs/sha256/ab/${hex}`)
  test.equal(objectKey('a/b', 'manifests', `sha512:${hex}${hex}`), `a/b/manifests/sha512/ab/${hex}${hex}`)
})
