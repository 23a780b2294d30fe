import { randomBytes } from 'node:crypto'
import t from 'tap'
import { inSlices, sliceBytes } from '../../src/server/answer-slices.ts'

const slicesOf = async (answer: Buffer): Promise<Buffer[]> => await inSlices(answer).toArray()

await t.test('every byte arrives, in order', async (test) => {
  for (const length of [0, 1, sliceBytes - 1, sliceBytes, sliceBytes + 1, 3 * sliceBytes]) {
    const answer = randomBytes(length)
    const slices = await slicesOf(answer)
    test.ok(Buffer.concat(slices).equals(answer), `${length} bytes`)
    test.ok(slices.every((slice) => slice.length <= sliceBytes))
  }
})

await t.test('attack: a large response leaves turns of the event loop to others', async (test) => {
  let turns = 0
  const count = () => {
    turns += 1
    turn = setImmediate(count)
  }
  let turn = setImmediate(count)
  await slicesOf(Buffer.alloc(20 * sliceBytes))
  clearImmediate(turn)
  test.ok(turns >= 19, `${turns} turns`)
})
