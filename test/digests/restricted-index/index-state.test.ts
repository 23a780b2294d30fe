import t from 'tap'
import { nothingIndexed } from '../../../src/digests/restricted-index/index-state.ts'

await t.test('nothing is complete at first', (test) => {
  test.strictSame(nothingIndexed, {
    liveCompleteAt: undefined,
    datedCompleteAt: undefined,
    datedSeenUpTo: '',
    namespaces: [],
  })
  test.end()
})
