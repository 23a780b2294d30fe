import t from 'tap'
import { endedBy, outcomeOf, Unwanted, WrongContent } from '../../src/storage/fill-outcome.ts'
import { DiskTooSlow } from '../../src/storage/disk-queue.ts'

await t.test('the outcome of a fill by the error of the disk', (test) => {
  const rows = [
    [new DiskTooSlow('it hangs'), 'slow'],
    [Object.assign(new Error('x'), { code: 'ENOSPC' }), 'full'],
    [Object.assign(new Error('x'), { code: 'EDQUOT' }), 'full'],
    [Object.assign(new Error('x'), { code: 'EIO' }), 'unwritable'],
    [new Error('x'), 'unwritable'],
    [new Unwanted(), 'cancelled'],
  ] as const
  for (const [error, outcome] of rows) test.equal(outcomeOf(error), outcome)
  const cause = new Error('cut')
  test.equal(new WrongContent('x').name, 'WrongContent')
  test.match(endedBy(cause), { name: 'FillEnded', cause })
  test.end()
})
