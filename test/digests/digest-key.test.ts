import t from 'tap'
import { digestOf as textOf, joinKeys, keyOf, sha256Length, splitKeys } from '../../src/digests/digest-key.ts'
import { digestOf } from './fixtures.ts'

await t.test('a key has the bytes of the digest, and converts back to it', async (test) => {
  for (const [algorithm, length] of [
    ['sha256', sha256Length],
    ['sha512', 64],
  ] as const) {
    const digest = digestOf('a', algorithm)
    test.equal(keyOf(digest).length, length)
    test.equal(textOf(keyOf(digest)), digest)
  }
  test.not(keyOf(digestOf('a')), keyOf(digestOf('b')))
})

await t.test('many keys of both lengths are joined in one string', async (test) => {
  const keys = [digestOf('a'), digestOf('b', 'sha512'), digestOf('c')].map(keyOf)
  test.strictSame([...splitKeys(joinKeys(keys))], keys)
  test.equal(joinKeys(keys).length, 33 + 65 + 33)
  test.strictSame([...splitKeys(joinKeys([]))], [])
})
