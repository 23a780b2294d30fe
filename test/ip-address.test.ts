import t from 'tap'
import { addressOf, parseAddress } from '../src/ip-address.ts'

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

await t.test('an address as proxies write it, and nothing else', async (test) => {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:5678', '192.0.2.1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[192.0.2.1]:80', undefined],
    ['192.0.2.1:port', undefined],
    ['[2001:db8::1', undefined],
    ['_hidden', undefined],
    ['9'.repeat(81), undefined],
  ]
  for (const [text, address] of rows) test.equal(parseAddress(text), address, text)
})
