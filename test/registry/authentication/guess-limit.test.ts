import t from 'tap'
import { createGuessLimit } from '../../../src/registry/authentication/guess-limit.ts'

const setUp = () => {
  let now = 0
  const limit = createGuessLimit(() => now)
  return { limit, pass: (ms: number) => void (now += ms) }
}
const limited = {
  code: 'TOOMANYREQUESTS',
  status: 429,
  headers: { 'retry-after': '1' },
  message: /^too many logins of robots that are not right; ask for the current pull secret/,
}

await t.test('30 guesses of an address at once, then one a second', async (test) => {
  const { limit, pass } = setUp()
  for (let index = 0; index < 30; index++) limit('10.0.0.1')
  test.throws(() => limit('10.0.0.1'), limited)
  limit('10.0.0.2')
  pass(1000)
  limit('::ffff:10.0.0.1')
  test.throws(() => limit('10.0.0.1'), limited)
})

await t.test('100 guesses of all addresses at once, then 50 a second', async (test) => {
  const { limit, pass } = setUp()
  for (let index = 0; index < 100; index++) limit(`10.0.0.${index}`)
  test.throws(() => limit('10.0.1.1'), limited)
  pass(20)
  limit('10.0.1.1')
})

await t.test('the default clock', async (test) => {
  test.doesNotThrow(() => createGuessLimit()('10.0.0.1'))
})
