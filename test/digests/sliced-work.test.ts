import t from 'tap'
import { SlicedWork } from '../../src/digests/sliced-work.ts'

await t.test('a little work is done at once', async (test) => {
  const done: number[] = []
  const work = new SlicedWork<number>((item) => void done.push(item), 10)
  for (let item = 0; item < 9; item++) work.add(item)
  test.strictSame(done, [])
  work.run()
  test.strictSame(done, [8, 7, 6, 5, 4, 3, 2, 1, 0])
  await work.settled()
})

await t.test(
  'much work gives others a turn between two slices, and settled waits for all of it',
  async (test) => {
    let done = 0
    const work: SlicedWork<number> = new SlicedWork((depth) => {
      done += 1
      if (depth > 0) for (let child = 0; child < 2; child++) work.add(depth - 1)
    }, 100)
    work.add(9)
    work.run()
    test.equal(done, 100)
    work.add(0)
    work.run()
    test.equal(done, 100, 'what comes meanwhile waits for its slice')
    let turns = 0
    const count = () => {
      turns += 1
      if (done < 1025) setImmediate(count)
    }
    setImmediate(count)
    const mark = work.mark()
    work.add(0)
    work.run()
    await work.settled(mark)
    test.ok(done < 400, 'attack: new work does not wait for all of the earlier one')
    await work.settled()
    test.equal(done, 1025)
    test.ok(turns >= 9)
  },
)
