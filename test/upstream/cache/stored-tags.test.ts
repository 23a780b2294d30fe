import { join } from 'node:path'
import t from 'tap'
import type { Digest } from '../../../src/oci/reference.ts'
import { DiskQueue } from '../../../src/storage/disk-queue.ts'
import { KeyJournal } from '../../../src/storage/key-journal.ts'
import { createDigestsByTag } from '../../../src/upstream/cache/digests-by-tag.ts'
import { createStoredTags } from '../../../src/upstream/cache/stored-tags.ts'

const digest = `sha256:${'a'.repeat(64)}` as Digest
const hour = 3_600_000

const setUp = (stored: Readonly<Record<string, { value: string; time: number }>> = {}) => {
  const entries = new Map(Object.entries(stored))
  const clock = { now: 0, wall: 10 * hour }
  const now = () => clock.now
  const tags = createStoredTags(createDigestsByTag({ tagTtlMs: 10_000, staleIfErrorMs: hour, now }), {
    journal: {
      get: (key) => entries.get(key),
      set: (key, value) => void entries.set(key, { value, time: clock.wall }),
      delete: (key) => void entries.delete(key),
    },
    now,
    wallClock: () => clock.wall,
  })
  return { tags, entries, clock }
}

await t.test('confirmed tags are stored, and forgotten tags are removed', async (test) => {
  const { tags, entries } = setUp()
  tags.confirm('a', digest, 0)
  test.strictSame(entries.get('a'), { value: digest, time: 10 * hour })
  test.match(tags.get('a'), { digest, isFresh: true })
  test.equal(tags.size(), 1)
  tags.delete('a')
  test.equal(entries.size, 0)
  test.equal(tags.get('a'), undefined)
})

await t.test('a restart does not change the age of a tag', async (test) => {
  const { tags, clock } = setUp({
    new: { value: digest, time: 10 * hour - 10_000 },
    old: { value: digest, time: 9 * hour - 1 },
    future: { value: digest, time: 11 * hour },
    nonsense: { value: 'latest', time: 10 * hour },
  })
  test.strictSame(tags.get('new'), {
    digest,
    confirmedAt: clock.now - 10_000,
    isFresh: false,
    isFailing: false,
  })
  test.equal(tags.get('old'), undefined)
  test.equal(tags.get('nonsense'), undefined)
  test.strictSame(tags.get('future'), {
    digest,
    confirmedAt: clock.now,
    isFresh: true,
    isFailing: false,
  })
  tags.failed('new')
  test.match(tags.get('new'), { isFailing: true })
  clock.now += hour
  clock.wall += hour
  test.equal(tags.get('new'), undefined)
})

await t.test('the clock of the machine is used unless another one is given', async (test) => {
  const tags = createStoredTags(createDigestsByTag({ tagTtlMs: 0, staleIfErrorMs: hour, now: () => 0 }), {
    journal: {
      get: () => ({ value: digest, time: Date.now() }),
      set: () => undefined,
      delete: () => undefined,
    },
    now: () => 0,
  })
  test.match(tags.get('a'), { digest })
})

await t.test(
  'the clock is set back by a year while upstream fails: no tag is served for a year',
  async (test) => {
    const path = join(test.testdir(), 'tags')
    const journal = new KeyJournal({ path, queue: new DiskQueue(), onWarning: () => undefined })
    const [date, monotonic] = [Date.now.bind(Date), performance.now.bind(performance)]
    test.teardown(() => Object.assign(Date, { now: date }) && Object.assign(performance, { now: monotonic }))
    const now = () => performance.now()
    const tags = createStoredTags(createDigestsByTag({ tagTtlMs: 10_000, staleIfErrorMs: hour, now }), {
      journal,
      now,
    })
    tags.confirm('a', digest, now())
    Date.now = () => date() - 365 * 24 * hour
    performance.now = () => monotonic() + hour / 2
    test.match(tags.get('a'), { digest, isFresh: false })
    performance.now = () => monotonic() + hour
    test.equal(tags.get('a'), undefined)
    await journal.close()
  },
)
