import t from 'tap'
import { networkOfClient, parseAddress } from '../../src/access/ip-address.ts'

await t.test(
  'all spellings of an address, and all addresses of an IPv6 network, count as one',
  async (test) => {
    for (const [one, same, other] of [
      ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.2'],
      ['2001:db8::1', '2001:db8:0:0:ffff::2', '2001:db8:0:1::1'],
      ['not an address', 'x'.repeat(60_000), '10.0.0.1'],
    ] as const) {
      test.equal(networkOfClient(one), networkOfClient(same))
      test.not(networkOfClient(one), networkOfClient(other))
    }
    test.equal(networkOfClient(''), 'unknown')
  },
)

await t.test('an address is parsed as proxies write it; other texts are refused', async (test) => {
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
