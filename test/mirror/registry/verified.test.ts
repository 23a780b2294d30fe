import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { hasDigest, hashFor, isDigestOf, sha256Of } from '../../../src/mirror/registry/verified.ts'

await t.test('digests of both algorithms', async (t) => {
  const bytes = Buffer.from('abc')
  const sha256 = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' as Digest
  const sha512 =
    'sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f' as Digest
  t.equal(sha256Of(bytes), sha256)
  t.ok(hasDigest(bytes, sha256))
  t.ok(hasDigest(bytes, sha512))
  t.notOk(hasDigest(Buffer.from('abd'), sha256))
  t.ok(isDigestOf(hashFor(sha512).update('ab').update('c'), sha512))
})
