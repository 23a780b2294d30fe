import t from 'tap'
import { openLifeMs } from '../../src/digests/sightings.ts'
import {
  bucketEndsAt,
  bucketOf,
  factHashes,
  generations,
  prefix,
  rateKey,
  grantsKey,
} from '../../src/shared-state/keys.ts'

await t.test('the bucket of a fact lives as long as the fact', async (test) => {
  const hour = 3_600_000
  for (let at = 0; at < 48 * hour; at += hour / 2) {
    const livesMs = bucketEndsAt(bucketOf(at)) * 1000 - at
    test.ok(livesMs > openLifeMs && livesMs <= openLifeMs + 8 * hour)
  }
})

await t.test('every bucket that may contain an open fact is loaded, the oldest first', async (test) => {
  const now = 1_800_000_000_000
  const hashes = factHashes(now)
  test.same(hashes.slice(0, 3), [
    { kind: 'T', key: `${prefix}T` },
    { kind: 'N', key: `${prefix}N` },
    { kind: 'N', key: `${prefix}N` },
  ])
  const tags = hashes.filter(({ kind }) => kind === 't').map(({ key }) => key)
  for (const at of [now - openLifeMs, now - openLifeMs / 2, now, now + 3_600_000])
    test.ok(tags.includes(`${prefix}t:${bucketOf(at)}`))
  test.same(tags, tags.toSorted())
  test.ok(bucketOf(now) - bucketOf(now - openLifeMs) < generations)
  test.equal(hashes.filter(({ kind }) => kind === 'n').length, tags.length)
})

await t.test('a bucket has its own key', async (test) => {
  test.equal(rateKey('manifest'), `${prefix}rate:manifest`)
})

await t.test("the store does not contain the holder's name", (test) => {
  test.match(grantsKey('alice'), /^quay-proxy:1:grants:[\w-]{43}$/)
  test.not(grantsKey('alice'), grantsKey('bob'))
  test.end()
})
