import t from 'tap'
import { keyOf } from '../../src/digests/digest-key.ts'
import { FingerprintSet } from '../../src/digests/fingerprint-set.ts'
import { parseDigest } from '../../src/oci/reference.ts'
import { digestOf } from './fixtures.ts'

/** A digest of these first eight bytes. */
const starting = (high: number, low: number, rest = '0') =>
  keyOf(
    parseDigest(
      `sha256:${high.toString(16).padStart(8, '0')}${low.toString(16).padStart(8, '0')}${rest.repeat(48)}`,
    ),
  )

await t.test('the set has each added digest once, and grows', async (test) => {
  const set = new FingerprintSet()
  const keys = Array.from({ length: 20_000 }, (_, index) => keyOf(digestOf(`in ${index}`)))
  for (const key of [...keys, ...keys]) set.add(key)
  test.equal(set.size, keys.length)
  test.ok(keys.every((key) => set.has(key)))
  const others = Array.from({ length: 20_000 }, (_, index) => keyOf(digestOf(`out ${index}`)))
  test.notOk(others.some((key) => set.has(key)))
  test.equal(set.isFull, false)
})

await t.test('a digest of eight zero bytes is no empty slot', async (test) => {
  const set = new FingerprintSet()
  test.equal(set.has(starting(0, 0)), false)
  set.add(starting(0, 0))
  set.add(starting(0, 1))
  test.strictSame([set.has(starting(0, 0)), set.has(starting(0, 1)), set.size], [true, true, 1])
  test.equal(set.has(starting(1, 0)), false)
})

await t.test('digests with the same first eight bytes count as the same: closed', async (test) => {
  const set = new FingerprintSet()
  set.add(starting(1, 2, '0'))
  test.equal(set.has(starting(1, 2, 'f')), true)
})

await t.test('a full set contains every digest', async (test) => {
  const set = new FingerprintSet(2)
  set.add(keyOf(digestOf('a')))
  test.equal(set.has(keyOf(digestOf('c'))), false)
  for (const name of ['b', 'c']) set.add(keyOf(digestOf(name)))
  test.strictSame([set.size, set.isFull], [2, true])
  for (const name of ['a', 'b', 'c', 'd']) test.equal(set.has(keyOf(digestOf(name))), true)
})

await t.test('attack: digests that are chosen to collide in one slot do not collide', async (test) => {
  const set = new FingerprintSet()
  // With a hash of the xor of both words each of these would look at all before it: 2 * 10^10 looks.
  const chosen = Array.from({ length: 200_000 }, (_, index) => starting(index, (index ^ 0x5a5a5a5a) >>> 0))
  for (const key of chosen) set.add(key)
  test.equal(set.size, chosen.length)
  test.ok(chosen.every((key) => set.has(key)))
})
