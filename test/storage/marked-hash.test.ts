import { createHash } from 'node:crypto'
import t from 'tap'
import { MarkedHash, nothingHashed, type HashedPrefix } from '../../src/storage/marked-hash.ts'
import { bytesOf, digestOf } from './fixtures.ts'

const content = bytesOf(3_500_000)
const hexOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

const hashOf = (bytes: Buffer, size = bytes.length, digest = digestOf(bytes)) => {
  const hash = new MarkedHash(digest, size)
  for (let at = 0; at < bytes.length; at += 100_000) hash.update(bytes.subarray(at, at + 100_000))
  return hash
}

const told = ({ at, hash, check }: HashedPrefix) => ({ at, hex: hash.copy().digest('hex'), check })

await t.test('all bytes are compared with the digest, whatever its algorithm', async (test) => {
  test.ok(hashOf(content).isRight())
  test.ok(hashOf(content).isRight(), 'twice')
  test.ok(hashOf(content, content.length, digestOf(content, 'sha512')).isRight())
  test.notOk(hashOf(content.subarray(1), content.length, digestOf(content)).isRight())
})

await t.test(
  'a reader goes on from the last mark before it, and compares up to the next one',
  async (test) => {
    const hash = hashOf(content)
    test.equal(hash.at, content.length)
    for (const [position, at, until] of [
      [5, 0, 1_100_000],
      [1_099_999, 0, 1_100_000],
      [1_100_001, 1_100_000, 2_100_000],
      [3_300_000, 3_200_000, 3_500_000],
    ] as const)
      test.strictSame(told(hash.prefix(position)), {
        at,
        hex: hexOf(content.subarray(0, at)),
        check: { until, hex: hexOf(content.subarray(0, until)) },
      })
    for (const at of [0, 1_100_000, content.length])
      test.strictSame(told(hash.prefix(at)), { at, hex: hexOf(content.subarray(0, at)), check: undefined })
  },
)

await t.test('marks of a large blob are further apart: 128 at most', async (test) => {
  const hash = hashOf(content, 1024 ** 3)
  test.equal(hash.prefix(3_400_000).at, 0)
})

await t.test('a prefix is its own copy', async (test) => {
  const hash = hashOf(content)
  hash.prefix(content.length).hash.update('more')
  test.ok(hash.isRight())
  test.strictSame(told(nothingHashed(digestOf(content))), {
    at: 0,
    hex: hexOf(Buffer.alloc(0)),
    check: undefined,
  })
})
