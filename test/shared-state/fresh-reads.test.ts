import t from 'tap'
import { createFreshReads } from '../../src/shared-state/fresh-reads.ts'

const setUp = () => {
  const reads: PromiseWithResolvers<number>[] = []
  const read = createFreshReads(async () => {
    const one = Promise.withResolvers<number>()
    reads.push(one)
    return await one.promise
  })
  return { reads, read }
}
const turn = async () => await new Promise(setImmediate)

await t.test(
  'a read that began before the call does not count; later callers share the next one',
  async (test) => {
    const { reads, read } = setUp()
    const first = read()
    const later = [read(), read(), read()]
    await turn()
    test.equal(reads.length, 1)
    reads[0]!.resolve(1)
    test.equal(await first, 1)
    await turn()
    test.equal(reads.length, 2)
    const last = read()
    reads[1]!.resolve(2)
    test.same(await Promise.all(later), [2, 2, 2])
    await turn()
    test.equal(reads.length, 3)
    reads[2]!.resolve(3)
    test.equal(await last, 3)
    const again = read()
    reads[3]!.resolve(4)
    test.equal(await again, 4, 'one that is over is not waited for')
  },
)

await t.test('a failed read affects only the callers that share it', async (test) => {
  const { reads, read } = setUp()
  const first = read()
  const second = read()
  reads[0]!.reject(new Error('unavailable'))
  await test.rejects(first, { message: 'unavailable' })
  await turn()
  reads[1]!.resolve(2)
  test.equal(await second, 2)
})
