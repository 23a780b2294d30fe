import t from 'tap'
import { OneAtATime } from '../../src/concurrency/one-at-a-time.ts'

await t.test('one after the other for a key, and at once for others', async (t) => {
  const one = new OneAtATime()
  const order: string[] = []
  const turns = [0, 1, 2, 3].map(() => Promise.withResolvers<void>())
  const run = async (index: number, key: string): Promise<number> =>
    await one.run(key, async () => {
      order.push(`begin ${index}`)
      await turns[index]?.promise
      order.push(`end ${index}`)
      if (index === 1) throw new Error('no')
      return index
    })
  const first = run(0, 'a')
  const second = run(1, 'a')
  const third = run(2, 'a')
  const other = run(3, 'b')
  t.equal(one.size, 2)
  turns[3]?.resolve()
  t.equal(await other, 3)
  for (const turn of turns) turn.resolve()
  await t.rejects(second, { message: 'no' })
  t.strictSame([await first, await third], [0, 2])
  t.strictSame(order, ['begin 0', 'begin 3', 'end 3', 'end 0', 'begin 1', 'end 1', 'begin 2', 'end 2'])
  t.equal(one.size, 0)
})
