import t from 'tap'
import { createRefusedTokens } from '../../src/kubernetes/refused-tokens.ts'

const setUp = () => {
  let now = 0
  const refused = createRefusedTokens<string>(() => now)
  return { ...refused, pass: (ms: number) => void (now += ms) }
}

await t.test(
  'a refusal is cached for five seconds, then twice as long after each further one, up to five minutes',
  async (test) => {
    const { get, add, pass } = setUp()
    test.equal(get('k'), undefined)
    for (const seconds of [5, 10, 20, 40, 80, 160, 300, 300]) {
      add('k', 'no', 'a')
      test.equal(get('k'), 'no')
      pass(seconds * 1000 - 1)
      test.equal(get('k'), 'no', `${seconds} s`)
      pass(1)
      test.equal(get('k'), undefined, `${seconds} s are over`)
    }
  },
)

await t.test('a token that was accepted starts again with five seconds', async (test) => {
  const { get, add, forget, pass } = setUp()
  add('k', 'no', 'a')
  add('k', 'no', 'a')
  forget('k')
  test.equal(get('k'), undefined)
  add('k', 'no', 'a')
  pass(5000)
  test.equal(get('k'), undefined)
})

await t.test('attack: made-up tokens of one address evict only their own entries', async (test) => {
  const { get, add } = setUp()
  add('k', 'no', 'office')
  for (let index = 0; index < 30_000; index++) add(`made up ${index}`, 'no', 'attacker')
  test.equal(get('k'), 'no')
  test.equal(get('made up 0'), undefined)
})
