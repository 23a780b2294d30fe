import t from 'tap'
import { EntryIndex, type FoundEntry } from '../../src/storage/entry-index.ts'
import { digestOf } from './fixtures.ts'

const digest = (name: string, algorithm = 'sha256') => digestOf(Buffer.from(name), algorithm)

/** Of files that nobody changes. */
const mtimeMs = 1_700_000_000_000.25

const indexOf = (maxBytes: number) => {
  const evicted: [string, number][] = []
  const index = new EntryIndex({ maxBytes, onEvicted: (...entry) => void evicted.push(entry) })
  return { index, evicted }
}

await t.test(
  'entries count in blocks of the file system; the least recently used goes first',
  async (test) => {
    const { index, evicted } = indexOf(3 * 4096)
    index.verified(digest('a'), 1, mtimeMs)
    index.use(digest('b', 'sha512'), 4097)
    test.equal(index.bytes, 3 * 4096)
    test.equal(index.entries, 2)
    test.equal(index.sizeOf(digest('a')), 1)
    test.equal(index.sizeOf(digest('b', 'sha512')), 4097)
    test.equal(index.sizeOf(digest('c')), undefined)
    index.use(digest('a'), 1)
    index.use(digest('c'), 0)
    test.strictSame(evicted, [[digest('b', 'sha512'), 4097]])
    test.equal(index.bytes, 2 * 4096)
    test.ok(index.isVerified(digest('a'), mtimeMs))
    test.notOk(index.isVerified(digest('c'), mtimeMs))
    test.notOk(index.isVerified(digest('b', 'sha512'), mtimeMs))
    index.verified(digest('c'), 0, mtimeMs)
    test.ok(index.isVerified(digest('c'), mtimeMs))
  },
)

await t.test('a file that was changed later is not verified any more', async (test) => {
  const { index } = indexOf(2 ** 50)
  const large = 2 ** 37
  for (const [name, size] of [
    ['a', 0],
    ['b', large - 1],
  ] as const) {
    index.verified(digest(name), size, mtimeMs)
    test.ok(index.isVerified(digest(name), mtimeMs))
    test.equal(index.sizeOf(digest(name)), size)
    for (const later of [0.01, 1, 1000, 86_400_000])
      test.notOk(index.isVerified(digest(name), mtimeMs + later), `${name} ${later}`)
    for (const time of [0, -1]) {
      index.verified(digest(name), size, time)
      test.ok(index.isVerified(digest(name), time), 'a clock that was wrong')
    }
  }
  index.verified(digest('larger'), large, mtimeMs)
  test.notOk(index.isVerified(digest('larger'), mtimeMs), 'no room for the mark: compared each time')
  test.equal(index.sizeOf(digest('larger')), large)
})

await t.test('room for fills', async (test) => {
  const { index, evicted } = indexOf(4 * 4096)
  index.verified(digest('a'), 4096, mtimeMs)
  index.verified(digest('b'), 4096, mtimeMs)
  test.ok(index.reserve(3 * 4096))
  test.strictSame(evicted, [[digest('a'), 4096]])
  test.notOk(index.reserve(4097), 'fills together are bounded')
  index.verified(digest('c'), 4096, mtimeMs)
  test.equal(evicted.length, 2, 'an entry counts beside what is reserved')
  index.unreserve(3 * 4096)
  index.verified(digest('d'), 3 * 4096, mtimeMs)
  test.equal(index.entries, 2)
  test.equal(index.evict(1), 4096)
  test.equal(index.evict(1_000_000), 3 * 4096)
  test.equal(index.entries, 0)
})

const found = (name: string, mtimeMs: number, size = 4096): FoundEntry => ({
  digest: digest(name),
  size,
  mtimeMs,
})

await t.test(
  'entries of an earlier life are older than what was used since, whatever their times',
  async (test) => {
    const { index, evicted } = indexOf(100 * 4096)
    index.use(digest('used'), 4096)
    index.verified(digest('filled'), 4096, mtimeMs)
    const year = 365 * 24 * 3_600_000
    await index.absorb([
      found('middle', Date.now() - year),
      found('future', Date.now() + year),
      found('oldest', -year),
      found('used', 0),
      found('newest', Date.now()),
    ])
    test.equal(index.entries, 6)
    test.ok(index.isVerified(digest('filled'), mtimeMs))
    while (index.entries > 0) index.evict(1)
    test.strictSame(
      evicted.map(([name]) => name),
      ['oldest', 'middle', 'future', 'newest', 'used', 'filled'].map((name) => digest(name)),
    )
  },
)

await t.test('more entries than fit, and entries that are removed during the scan', async (test) => {
  const { index, evicted } = indexOf(6000 * 4096)
  index.use(digest('live'), 4096)
  const absorbed = index.absorb(Array.from({ length: 12_000 }, (_, at) => found(`${at}`, at * 100_000)))
  index.remove(digest('11999'))
  test.ok(index.isRemoved(digest('11999')))
  test.notOk(index.isRemoved(digest('0')))
  index.remove(digest('11998'))
  index.verified(digest('11998'), 4096, mtimeMs)
  index.use(digest('late'), 4096)
  await absorbed
  test.notOk(index.isRemoved(digest('11999')), 'its file is not counted any more')
  await index.absorb([])
  test.equal(index.sizeOf(digest('11999')), undefined)
  test.equal(index.sizeOf(digest('live')), 4096)
  test.equal(index.sizeOf(digest('late')), 4096)
  test.ok(index.isVerified(digest('11998'), mtimeMs))
  test.ok(index.bytes <= 6000 * 4096)
  test.equal(index.sizeOf(digest('0')), undefined)
  test.equal(evicted[0]?.[0], digest('0'))
  test.notOk(evicted.some(([name]) => name === digest('live')))
})

await t.test('a machine whose clock stands before 1970 reads its entries', async (test) => {
  const { index } = indexOf(100 * 4096)
  const { now } = Date
  test.teardown(() => (Date.now = now))
  Date.now = () => -60 * 365 * 86_400_000
  await index.absorb([found('a', 0), found('b', now()), found('c', -1)])
  test.equal(index.entries, 3)
})
