import t from 'tap'
import { userAgentOf } from '../../src/server/user-agent.ts'

await t.test('the program of the client, cut and printable', async (test) => {
  test.equal(userAgentOf({ headers: {} }), undefined)
  test.equal(userAgentOf({ headers: { 'user-agent': 'containers/5.36' } }), 'containers/5.36')
  test.equal(userAgentOf({ headers: { 'user-agent': 'x'.repeat(1000) } }), 'x'.repeat(200))
  test.equal(userAgentOf({ headers: { 'user-agent': 'a\tb\u001b[31m\u00e9' } }), 'a?b?[31m?')
})
