import t from 'tap'
import {
  ofUnknownPatterns,
  parseIndexState,
  printIndexState,
} from '../../src/shared-state/index-state-codec.ts'

const whole = { liveCompleteAt: 1, datedCompleteAt: 2, datedSeenUpTo: '2026', namespaces: ['a-priv'] }

await t.test('a state is parsed as it was printed', async (test) => {
  for (const state of [
    whole,
    { ...whole, hasUnread: true },
    { ...whole, patterns: '*-priv' },
    { ...whole, liveCompleteAt: undefined, datedCompleteAt: undefined, namespaces: [] },
  ])
    test.same(parseIndexState(printIndexState(state)), state)
  test.strictSame(parseIndexState(JSON.stringify({ ...whole, hasUnread: 'no', patterns: 1 })), whole)
})

await t.test('a state as that of another configuration', async (test) => {
  for (const state of [whole, { ...whole, patterns: '*-priv' }])
    test.strictSame(ofUnknownPatterns(state), whole)
})

await t.test('any other text is undefined', async (test) => {
  for (const wrong of [
    { ...whole, liveCompleteAt: '1' },
    { ...whole, datedCompleteAt: null },
    { ...whole, datedSeenUpTo: undefined },
    { ...whole, namespaces: 'a' },
    { ...whole, namespaces: [1] },
    null,
    1,
  ])
    test.equal(parseIndexState(JSON.stringify(wrong)), undefined)
  for (const text of ['', '{', 'undefined']) test.equal(parseIndexState(text), undefined)
})
