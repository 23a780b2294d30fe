import t from 'tap'
import { addressOf } from '../src/client-address.ts'

await t.test('one address, however it is written; one IPv6 network', async (test) => {
  for (const [one, same, other] of [
    ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.2'],
    ['2001:db8::1', '2001:db8:0:0:ffff::2', '2001:db8:0:1::1'],
    ['not an address', 'x'.repeat(60_000), '10.0.0.1'],
  ] as const) {
    test.equal(addressOf(one), addressOf(same))
    test.not(addressOf(one), addressOf(other))
  }
  test.equal(addressOf(''), 'unknown')
})
