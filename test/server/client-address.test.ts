import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { networkOf, parseAddress } from '../../src/access/ip-address.ts'
import { ClientAddresses } from '../../src/server/client-address.ts'

const peerAt = (remoteAddress: string | undefined) =>
  Object.assign(new EventEmitter(), { remoteAddress }) as unknown as Socket

const clientOf = (trusted: readonly string[], peer: string | undefined, forwarded?: string) =>
  new ClientAddresses(trusted).of({
    socket: peerAt(peer),
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  })

/** One address, and every spelling of it that proxies use. */
const spellings: Readonly<Record<string, readonly string[]>> = {
  '203.0.113.9': [
    '203.0.113.9',
    '203.0.113.9:1',
    '203.0.113.9:65535',
    '::ffff:203.0.113.9',
    '::FFFF:cb00:7109',
    '[::ffff:203.0.113.9]',
    '[::ffff:203.0.113.9]:443',
    '0:0:0:0:0:ffff:203.0.113.9',
  ],
  '2001:db8::1': [
    '2001:db8::1',
    '2001:DB8:0:0:0:0:0:1',
    '2001:0db8:0000:0000:0000:0000:0000:0001',
    '[2001:db8::1]',
    '[2001:db8::1]:443',
    '2001:db8::1%eth0',
    '[2001:db8::1%25eth0]:443',
    '2001:db8::0.0.0.1',
  ],
}

/** What is no address: what RFC 7239 has for those that nobody knows, what clients make up, what is nearly one. */
const garbage = [
  'unknown',
  '_hidden',
  '_SEVKISEK',
  'localhost',
  'example.org:80',
  '-',
  '"',
  '?http://http://',
  '010.0.0.1',
  '1.2.3',
  '16909060',
  '0x1020304',
  '1.2.3.4.5',
  '256.1.1.1',
  '1.2.3.4:',
  '1.2.3.4:x',
  '1.2.3.4:123456',
  '1.2.3.4/32',
  '1.2.3.4%eth0',
  '[1.2.3.4]',
  '[1.2.3.4]:80',
  '[::1',
  '::1]',
  '[::1]x',
  '[::1]:',
  '[]',
  '[]:80',
  ':80',
  ':::',
  '1::2::3',
  '2001:db8::1::',
  'g::1',
  '\u0661.2.3.4',
  '1.2.3.4\u0000',
  'for=1.2.3.4',
  '1.2.3.4;proto=https',
  '1'.repeat(60_000),
  '1.2.3.4'.padEnd(60_000, '.1'),
  '['.repeat(60_000),
  ':'.repeat(60_000),
  '%'.repeat(60_000),
  `2001:db8::1%${'a'.repeat(60_000)}`,
]

await t.test('all spellings of an address are equal', async (test) => {
  for (const [address, texts] of Object.entries(spellings))
    for (const text of texts) test.equal(parseAddress(text), address, text)
})

await t.test('text of any length that is no address is refused', async (test) => {
  for (const text of ['', ...garbage]) test.equal(parseAddress(text), undefined, text.slice(0, 40))
})

await t.test('an IPv6 address counts as its /64', async (test) => {
  test.equal(networkOf('203.0.113.9'), '203.0.113.9')
  test.equal(networkOf('unknown'), 'unknown')
  test.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
  test.equal(networkOf('2001:db8:1:2::'), networkOf('2001:db8:1:2:ffff:ffff:ffff:ffff'))
  test.not(networkOf('2001:db8:1:2::1'), networkOf('2001:db8:1:3::1'))
  test.equal(networkOf('::1'), '0:0:0:0::/64')
})

await t.test('spellings x trust: the nearest address that is no trusted proxy', async (test) => {
  const [near, far] = ['10.128.0.5', '10.129.255.1']
  const all = Object.entries(spellings).flatMap(([address, texts]) => texts.map((text) => [address, text]))
  for (const [address = '', text = ''] of all) {
    const rows: readonly [trusted: readonly string[], peer: string, forwarded: string, expected: string][] = [
      [[], near, text, near],
      [['192.0.2.0/24'], near, text, near],
      [['10.128.0.0/14'], near, text, address],
      [['10.128.0.0/14'], `::ffff:${near}`, text, address],
      [['::ffff:10.128.0.0/110'], near, text, address],
      [['10.128.0.5'], near, text, address],
      [['2001:db8:ffff::/48', 'fd00::/8'], 'fd00::1', text, address],
      [['10.128.0.0/14'], near, `198.51.100.1, ${text}`, address],
      [['10.128.0.0/14'], near, `198.51.100.1,${text} , ${far}:80`, address],
      [['10.128.0.0/14'], near, `${text}, ,, ${far},`, address],
      // The one behind it is trusted as well: the next one counts.
      [['10.128.0.0/14', address], near, `198.51.100.1, ${text}`, '198.51.100.1'],
      // All of them: the furthest.
      [['10.128.0.0/14', address], near, text, address],
    ]
    for (const [trusted, peer, forwarded, expected] of rows)
      test.equal(
        clientOf(trusted, peer, forwarded).address,
        expected,
        `${forwarded} by ${peer} <- ${trusted.join()}`,
      )
  }
})

await t.test('attack: garbage counts as the nearest trusted proxy', async (test) => {
  const trusted = ['10.128.0.0/14']
  for (const text of garbage) {
    test.equal(clientOf(trusted, '10.128.0.5', text).address, '10.128.0.5')
    test.equal(clientOf(trusted, '10.128.0.5', `${text}, 10.129.0.1`).address, '10.129.0.1')
    test.equal(clientOf(trusted, '10.128.0.5', `${text}, 203.0.113.9`).address, '203.0.113.9')
    test.equal(clientOf(trusted, '203.0.113.7', text).address, '203.0.113.7')
  }
})

await t.test('attack: more entries than there are proxies', async (test) => {
  const trusted = ['10.128.0.0/14']
  test.equal(
    clientOf(trusted, '10.128.0.5', `203.0.113.9${', 10.128.0.6'.repeat(5000)}`).address,
    '10.128.0.6',
  )
  test.equal(clientOf(trusted, '10.128.0.5', `203.0.113.9${','.repeat(60_000)}`).address, '10.128.0.5')
})

await t.test('a peer without an address is unknown, and not trusted', async (test) => {
  test.strictSame(
    { ...clientOf(['10.0.0.0/8'], undefined, '203.0.113.9') },
    {
      address: 'unknown',
      network: 'unknown',
      isTrusted: false,
    },
  )
})

await t.test(
  'cached by connection: after it is closed, and while its header stays the same',
  async (test) => {
    const clients = new ClientAddresses(['10.0.0.0/8'])
    const socket = peerAt('10.0.0.1') as { remoteAddress: string | undefined } & Socket
    const from = (forwarded: string) => clients.of({ socket, headers: { 'x-forwarded-for': forwarded } })
    const first = from('203.0.113.9')
    socket.remoteAddress = undefined
    test.equal(from('203.0.113.9'), first)
    test.equal(from('203.0.113.8').address, '203.0.113.8')
    test.equal(from('203.0.113.9').address, '203.0.113.9')
    test.equal(clients.peerOf(socket).address, '10.0.0.1')
  },
)

await t.test('after a PROXY protocol header the client is the peer, trusted or not', async (test) => {
  const clients = new ClientAddresses(['10.0.0.0/8'])
  const socket = peerAt('10.0.0.1')
  const headers = { 'x-forwarded-for': '198.51.100.1' }
  clients.introduce(socket, '203.0.113.9')
  test.equal(clients.of({ socket, headers }).address, '203.0.113.9', 'who may not say for whom it asks')
  clients.introduce(socket, '10.0.0.2')
  test.equal(clients.of({ socket, headers }).address, '198.51.100.1', 'who may')
  const unknown = peerAt('10.0.0.1')
  clients.distrust(unknown)
  test.equal(clients.of({ socket: unknown, headers }).address, '10.0.0.1', 'who is not known')
  test.equal(clients.of({ socket: peerAt('10.0.0.1'), headers }).address, '198.51.100.1', 'others of it')
})

await t.test('no other file reads the address of a request', async (test) => {
  const elsewhere = globSync('src/**/*.ts').filter(
    (file) =>
      file !== 'src/server/client-address.ts' &&
      !file.startsWith('src/sandbox/') &&
      /\b(?:remoteAddress|trustProxy|request\.ips?)\b|x-forwarded|\bips?\b[^\n]*\} = request\b/i.test(
        // Not what is said about it.
        readFileSync(file, 'utf8').replaceAll(/\/\*[^]*?\*\/|\/\/.*|'[^'\n]*'/g, ''),
      ),
  )
  test.same(elsewhere, [])
})
