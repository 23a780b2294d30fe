import t from 'tap'
import { createRefusedTokens } from '../../src/kubernetes/refused-tokens.ts'

const setUp = () => {
  let now = 0
  const refused = createRefusedTokens<string>(() => now)
  return { ...refused, pass: (ms: number) => void (now += ms) }
}

await t.test('five seconds, then twice as long each time it comes again, to five minutes', async (test) => {
  const { known, add, pass } = setUp()
  test.equal(known('k'), undefined)
  for (const seconds of [5, 10, 20, 40, 80, 160, 300, 300]) {
    add('k', 'no', 'a')
    test.equal(known('k'), 'no')
    pass(seconds * 1000 - 1)
    test.equal(known('k'), 'no', `${seconds} s`)
    pass(1)
    test.equal(known('k'), undefined, `${seconds} s are over`)
  }
})

await t.test('a token that is accepted at last begins anew', async (test) => {
  const { known, add, forget, pass } = setUp()
  add('k', 'no', 'a')
  add('k', 'no', 'a')
  forget('k')
  test.equal(known('k'), undefined)
  add('k', 'no', 'a')
  pass(5000)
  test.equal(known('k'), undefined)
})

await t.test('attack: made-up tokens of one address push out their own', async (test) => {
  const { known, add } = setUp()
  add('k', 'no', 'office')
  for (let index = 0; index < 30_000; index++) add(`made up ${index}`, 'no', 'attacker')
  test.equal(known('k'), 'no')
  test.equal(known('made up 0'), undefined)
})
