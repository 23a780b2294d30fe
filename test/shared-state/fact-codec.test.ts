import t from 'tap'
import type { Digest, QciTag } from '../../src/oci/reference.ts'
import { decodeFact, encodeFact, maxChildren } from '../../src/shared-state/fact-codec.ts'
import type { Fact } from '../../src/digests/facts.ts'
import { digestOf, namesFact, tagFact } from './support.ts'

const sha512 = `sha512:${'ab'.repeat(64)}` as Digest
const facts: readonly Fact[] = [false, true].flatMap((isRestricted): Fact[] => [
  tagFact('base', isRestricted, 1_700_000_000_123),
  { kind: 'tag', tag: 'x'.repeat(128) as QciTag, digest: sha512, seenAt: 0, isRestricted },
  namesFact('base', 3, isRestricted),
  namesFact('empty', 0, isRestricted),
  namesFact('most', maxChildren, isRestricted),
  { kind: 'names', manifest: sha512, manifests: [digestOf('a'), sha512], blobs: [sha512], isRestricted },
])

await t.test('a fact is decoded as it was encoded', async (test) => {
  for (const fact of facts) {
    const { kind, field, value, stamp } = encodeFact(fact, 42)!
    test.same(decodeFact(kind, field, value), { fact, stamp })
    test.equal(stamp, fact.kind === 'tag' ? fact.seenAt : 42)
  }
})

await t.test('names with too many children are not shared', async (test) => {
  test.equal(encodeFact(namesFact('too many', maxChildren + 1), 0), undefined)
})

await t.test('a digest takes 33 bytes', async (test) => {
  const { field, value } = encodeFact(namesFact('base', 10), 0)!
  test.equal(field.length + value.length, 33 + 10 + 330)
})

await t.test('bytes that are cut, too long, or of another kind are no fact', async (test) => {
  for (const fact of facts.filter((one) => one.kind === 'tag' || one.blobs.length < 10)) {
    const { kind, field, value } = encodeFact(fact, 42)!
    for (let cut = 0; cut < value.length; cut += 1)
      test.equal(decodeFact(kind, field, value.subarray(0, cut)), undefined)
    test.equal(decodeFact(kind, field, Buffer.concat([value, Buffer.of(0)])), undefined)
    for (let cut = 0; cut <= 33; cut += 1)
      test.equal(decodeFact(kind, field.subarray(0, Math.min(cut, 32)), value), undefined)
    test.equal(decodeFact(kind, Buffer.concat([Buffer.of(7), field.subarray(1)]), value), undefined)
    test.equal(decodeFact('o', field, value), undefined)
  }
  const { field, value } = encodeFact(tagFact('base'), 0)!
  for (const tag of ['', '-x', 'a b', 'ä', 'x'.repeat(129), '../x'])
    test.equal(
      decodeFact('t', Buffer.concat([field.subarray(0, 33), Buffer.from(tag)]), value),
      undefined,
      tag,
    )
  const names = encodeFact(namesFact('base', 1), 0)!
  test.equal(decodeFact('n', Buffer.concat([names.field, Buffer.of(0)]), names.value), undefined)
  const claims = Buffer.from(names.value)
  claims.writeUInt16BE(65_535, 6)
  test.equal(decodeFact('n', names.field, claims), undefined)
})

await t.test('an error of our own does not count as wrong content', async (test) => {
  test.throws(() => decodeFact('t', undefined as unknown as Buffer, Buffer.alloc(6)), TypeError)
})
