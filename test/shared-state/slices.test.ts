import t from 'tap'
import { inSlices } from '../../src/shared-state/slices.ts'

await t.test(
  'all items are processed in order, with turns of the event loop between slices',
  async (test) => {
    let turns = 0
    let isOver = false
    const count = () => {
      turns += 1
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    const seen: number[] = []
    const slices: number[] = []
    await inSlices(
      [1, 2, 3, 4],
      (item) => {
        seen.push(item)
        const until = performance.now() + 6
        while (performance.now() < until);
      },
      () => slices.push(seen.length),
    )
    isOver = true
    test.same(seen, [1, 2, 3, 4])
    test.same(slices, [1, 2, 3, 4, 4])
    test.ok(turns >= 4)
  },
)

await t.test('few items are one slice', async (test) => {
  let flushed = 0
  await inSlices(
    [1],
    () => undefined,
    () => (flushed += 1),
  )
  test.equal(flushed, 1)
})
