import t from 'tap'
import { createDigestsByTag, tagKey } from '../../../src/upstream/cache/digests-by-tag.ts'
import type { Digest } from '../../../src/oci/reference.ts'

const digest = `sha256:${'a'.repeat(64)}` as Digest
const other = `sha256:${'b'.repeat(64)}` as Digest

const setUp = ({ tagTtlMs = 10_000, staleIfErrorMs = 3_600_000 } = {}) => {
  let time = 1_000_000
  const tags = createDigestsByTag({ tagTtlMs, staleIfErrorMs, now: () => time })
  return { ...tags, now: () => time, pass: (milliseconds: number) => void (time += milliseconds) }
}

await t.test('a tag is fresh for a short time, cached for a longer one, and then gone', async (test) => {
  const { get, confirm, now, pass } = setUp()
  test.equal(get('tag'), undefined)
  confirm('tag', digest, now())
  test.strictSame(get('tag'), { digest, confirmedAt: 1_000_000, isFresh: true, isFailing: false })
  pass(9_999)
  test.equal(get('tag')?.isFresh, true, 'and looking at it does not lengthen its life')
  pass(1)
  test.strictSame(get('tag'), { digest, confirmedAt: 1_000_000, isFresh: false, isFailing: false })
  pass(3_600_000 - 10_001)
  test.strictSame(get('tag'), { digest, confirmedAt: 1_000_000, isFresh: false, isFailing: false })
  pass(1)
  test.equal(get('tag'), undefined)
})

await t.test('each Accept set has its own digest of a tag', async (test) => {
  const { get, confirm, now } = setUp()
  confirm(tagKey('tag', '01'), digest, now())
  confirm(tagKey('tag', '2'), other, now())
  test.equal(get(tagKey('tag', '01'))?.digest, digest)
  test.equal(get(tagKey('tag', '2'))?.digest, other)
  test.equal(get(tagKey('tag', '012')), undefined)
})

await t.test('its age counts from the request, not from the response', async (test) => {
  const { get, confirm, now, pass } = setUp()
  const sentAt = now()
  pass(9_000)
  confirm('tag', digest, sentAt)
  pass(1_000)
  test.equal(get('tag')?.isFresh, false)
})

await t.test('with times of 0 a tag is neither fresh nor stale', async (test) => {
  const impatient = setUp({ tagTtlMs: 0 })
  impatient.confirm('tag', digest, impatient.now())
  test.strictSame(impatient.get('tag'), { digest, confirmedAt: 1_000_000, isFresh: false, isFailing: false })
  const strict = setUp({ staleIfErrorMs: 0 })
  strict.confirm('tag', digest, strict.now())
  test.equal(strict.get('tag')?.isFresh, true)
  strict.pass(10_000)
  test.equal(strict.get('tag'), undefined)
})

await t.test('after a failure no request is sent to upstream for a second', async (test) => {
  const { get, confirm, failed, now, pass } = setUp()
  failed('tag')
  test.equal(get('tag'), undefined, 'of what is not known a failure says nothing')
  confirm('tag', digest, now())
  pass(20_000)
  failed('tag')
  test.strictSame(get('tag'), { digest, confirmedAt: 1_000_000, isFresh: false, isFailing: true })
  pass(999)
  test.equal(get('tag')?.isFailing, true)
  pass(1)
  test.equal(get('tag')?.isFailing, false)
  failed('tag')
  confirm('tag', other, now())
  test.strictSame(get('tag'), { digest: other, confirmedAt: 1_021_000, isFresh: true, isFailing: false })
})

await t.test('a failure does not extend the time', async (test) => {
  const { get, confirm, failed, now, pass } = setUp({ staleIfErrorMs: 60_000 })
  confirm('tag', digest, now())
  pass(59_999)
  failed('tag')
  pass(1)
  test.equal(get('tag'), undefined)
})

await t.test('a deleted tag is gone, and no other', async (test) => {
  const { get, confirm, delete: remove, now, size } = setUp()
  confirm('tag', digest, now())
  confirm('another', other, now())
  test.equal(size(), 2)
  remove('tag')
  test.equal(get('tag'), undefined)
  test.equal(get('another')?.digest, other)
  test.equal(size(), 1)
})

await t.test('attack on memory: ever new keys', async (test) => {
  const { get, confirm, now, size } = setUp()
  confirm('tag', digest, now())
  for (let index = 0; index < 25_000; index++) {
    confirm(`tag ${index}`, digest, now())
    get('tag')
  }
  test.equal(size(), 20_000)
  test.ok(get('tag'), 'what is asked for stays')
})
