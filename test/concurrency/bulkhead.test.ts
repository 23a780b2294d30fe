import t from 'tap'
import { Bulkhead } from '../../src/concurrency/bulkhead.ts'

/** How many of so many tries find a place. */
const takeAll = (bulkhead: Bulkhead, holder: string, tries: number): number =>
  Array.from({ length: tries }, () => bulkhead.take(holder)).filter(Boolean).length

await t.test('a single holder gets three quarters, and leaves permits to newcomers', async (test) => {
  const bulkhead = new Bulkhead(16)
  test.equal(takeAll(bulkhead, 'greedy', 20), 12)
  test.equal(takeAll(bulkhead, 'second', 20), 4, 'below a third of all')
  test.notOk(bulkhead.take('third'), 'all are taken')
  test.equal(bulkhead.taken, 16)
})

await t.test('a permit that was given back is free for others', async (test) => {
  const bulkhead = new Bulkhead(8)
  takeAll(bulkhead, 'greedy', 20)
  takeAll(bulkhead, 'second', 20)
  bulkhead.giveBack('greedy')
  test.notOk(bulkhead.take('greedy'), 'more than its share')
  test.ok(bulkhead.take('third'))
  bulkhead.giveBack('third')
  test.ok(bulkhead.take('fourth'), 'who has none left is forgotten')
  test.equal(bulkhead.taken, 8)
})

for (let max = 1; max <= 40; max++)
  await t.test(
    `attack: ${max} holders in a row: nobody takes all, and never more than there are`,
    async (test) => {
      const bulkhead = new Bulkhead(max)
      const held = Array.from({ length: max }, (_, index) => takeAll(bulkhead, `h${index}`, 2 * max))
      test.equal(
        held.reduce((sum, one) => sum + one, 0),
        bulkhead.taken,
      )
      test.ok(bulkhead.taken <= max)
      test.ok((held[0] as number) <= Math.ceil(max * 0.75))
    },
  )

await t.test(
  "the background gets the first half only, and no holder's share becomes smaller",
  async (test) => {
    const bulkhead = new Bulkhead(8)
    for (let index = 0; index < 4; index++) test.ok(bulkhead.takeInBackground())
    test.notOk(bulkhead.takeInBackground())
    test.equal(takeAll(bulkhead, 'one', 8), 2)
    test.equal(takeAll(bulkhead, 'two', 8), 2)
    bulkhead.giveBackInBackground()
    test.ok(bulkhead.take('three'))
    test.equal(bulkhead.taken, 8)
  },
)
