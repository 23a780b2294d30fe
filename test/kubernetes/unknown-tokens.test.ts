import t from 'tap'
import { createUnknownTokens } from '../../src/kubernetes/unknown-tokens.ts'

const setUp = () => {
  let now = 500
  const tokens = createUnknownTokens(() => now)
  const note = (count: number) => {
    for (let index = 0; index < count; index++) tokens.note()
  }
  return { ...tokens, note, pass: (ms: number) => void (now += ms) }
}

await t.test('a trickle is calm, no matter how long', async (test) => {
  const { note, areCalm, pass } = setUp()
  test.equal(areCalm(), true)
  for (let second = 0; second < 100; second++) {
    note(8)
    test.equal(areCalm(), true)
    pass(1000)
  }
})

await t.test('a burst is not calm for two seconds of the clock', async (test) => {
  const { note, areCalm, pass } = setUp()
  note(17)
  test.equal(areCalm(), false)
  pass(1000)
  test.equal(areCalm(), false)
  pass(500)
  test.equal(areCalm(), true)
  pass(10_000)
  note(60)
  pass(2000)
  test.equal(areCalm(), true)
})

await t.test('a flood is not calm until ten seconds after its end', async (test) => {
  const { note, areCalm, pass } = setUp()
  note(80)
  pass(9999)
  test.equal(areCalm(), false)
  pass(1)
  test.equal(areCalm(), true)
})

await t.test('accepted tokens do not count', async (test) => {
  const { note, proven, areCalm, pass } = setUp()
  note(17)
  proven()
  test.equal(areCalm(), true)
  note(1)
  pass(1000)
  test.equal(areCalm(), false)
  proven()
  test.equal(areCalm(), true, 'of the second before')
  for (let index = 0; index < 40; index++) proven()
  note(17)
  test.equal(areCalm(), false, 'nobody has any in store')
})
