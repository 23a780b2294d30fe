import t from 'tap'
import { ObjectIndex } from '../../../src/storage/s3/object-index.ts'

const indexFor = () => {
  const clock = { now: 1 }
  return { clock, index: new ObjectIndex(() => clock.now) }
}

await t.test('an existing object counts for a minute; then it may have been removed', async (test) => {
  const { clock, index } = indexFor()
  test.ok(index.mayLack('a'))
  index.found('a', 5)
  test.equal(index.sizeOf('a'), 5)
  test.notOk(index.mayLack('a'))
  clock.now += 60_001
  test.equal(index.sizeOf('a'), undefined)
  test.notOk(index.mayLack('a'), 'nobody uploads it again so soon')
  clock.now += 24 * 3_600_000
  test.ok(index.mayLack('a'))
})

await t.test('an object that is absent is hidden for some seconds only', async (test) => {
  const { clock, index } = indexFor()
  index.found('a', 5)
  index.missed('a')
  test.ok(index.isAbsent('a'))
  test.equal(index.sizeOf('a'), undefined)
  test.ok(index.mayLack('a'))
  clock.now += 10_001
  test.notOk(index.isAbsent('a'))
  index.missed('a')
  index.found('a', 5)
  test.notOk(index.isAbsent('a'), 'unless it is uploaded before')
})

await t.test('a wrong object is bypassed for a while, and overwritten by an upload', async (test) => {
  const { clock, index } = indexFor()
  index.uploadFailed('a')
  test.notOk(index.mayLack('a'))
  index.wrong('a')
  test.ok(index.mayLack('a'))
  test.ok(index.isWrong('a'))
  clock.now += 59_000
  test.ok(index.isAbsent('a'))
  clock.now += 2000
  test.notOk(index.isAbsent('a'))
  test.ok(index.isWrong('a'))
  index.uploaded('a', 7)
  test.notOk(index.isWrong('a'))
  test.equal(index.sizeOf('a'), 7)
})

await t.test('a failed upload is not tried again at once', async (test) => {
  const { clock, index } = indexFor()
  index.uploadFailed('a')
  test.notOk(index.mayLack('a'))
  clock.now += 60_001
  test.ok(index.mayLack('a'))
})
