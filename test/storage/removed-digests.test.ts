import t from 'tap'
import { RemovedDigests } from '../../src/storage/removed-digests.ts'

await t.test('what was removed since a moment', (test) => {
  const removed = new RemovedDigests()
  const before = removed.moment
  removed.add('a')
  const between = removed.moment
  removed.add('b')
  test.strictSame(
    ['a', 'b', 'c'].map((digest) => removed.isRemovedSince(before, digest)),
    [true, true, false],
  )
  test.strictSame(
    ['a', 'b'].map((digest) => removed.isRemovedSince(between, digest)),
    [false, true],
  )
  removed.add('a')
  test.ok(removed.isRemovedSince(between, 'a'), 'once more')
  test.end()
})
