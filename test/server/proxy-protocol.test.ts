import t from 'tap'
import { parseProxyHeader } from '../../src/server/proxy-protocol.ts'
import { binaryHeader } from './proxy-headers.ts'

const text = (line: string) => Buffer.from(line, 'latin1')
const request = text('GET / HTTP/1.1\r\nHost: x\r\n\r\n')

/** Valid ones, and the client each is of; undefined where the proxy speaks for itself. */
const valid: readonly [header: Buffer, source: string | undefined][] = [
  [text('PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\r\n'), '203.0.113.9'],
  [text('PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n'), '255.255.255.255'],
  [text('PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n'), '0.0.0.0'],
  [text('PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n'), '2001:db8::1'],
  [
    text(`PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`),
    `${'ffff:'.repeat(7)}ffff`,
  ],
  [text('PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n'), '203.0.113.9'],
  [text('PROXY UNKNOWN\r\n'), undefined],
  [text(`PROXY UNKNOWN ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`), undefined],
  [binaryHeader({ source: '203.0.113.9' }), '203.0.113.9'],
  [binaryHeader({ source: '2001:db8::1' }), '2001:db8::1'],
  [binaryHeader({ source: '::ffff:203.0.113.9' }), '203.0.113.9'],
  [binaryHeader({ source: '203.0.113.9', more: Buffer.from([0x04, 0, 3, 1, 2, 3]) }), '203.0.113.9'],
  [binaryHeader({ source: '2001:db8::1', more: Buffer.alloc(2012, 0xee) }), '2001:db8::1'],
  [binaryHeader({ command: 0x20 }), undefined],
  [binaryHeader({ command: 0x20, source: '203.0.113.9' }), undefined],
  [binaryHeader({ command: 0x20, family: 0x31, more: Buffer.alloc(216) }), undefined],
  [binaryHeader({ family: 0 }), undefined],
  [binaryHeader({ family: 0, more: Buffer.alloc(100) }), undefined],
]

await t.test(
  'valid headers x chunks x following bytes: the source, and the first byte of the client',
  async (test) => {
    for (const [header, source] of valid) {
      const name = JSON.stringify(header.toString('latin1').slice(0, 30))
      const isOwn = header.length > 12 && header[12] === 0x20 && header[0] === 0x0d
      const whole = { kind: 'whole', length: header.length, source, isOwn }
      test.strictSame(parseProxyHeader(header), whole, name)
      for (const rest of [request, Buffer.from([0x16, 3, 1]), Buffer.alloc(70_000), header])
        test.strictSame(parseProxyHeader(Buffer.concat([header, rest])), whole, `${name} and more`)
      for (let length = 0; length < header.length; length++)
        if (parseProxyHeader(header.subarray(0, length)).kind !== 'partial')
          test.fail(`${name}: ${length} bytes of it`)
    }
  },
)

const broken: readonly Buffer[] = [
  request,
  text('\r\n\r\nGET'),
  text('proxy TCP4 203.0.113.9 10.0.0.1 1 2\r\n'),
  text('PROXY  TCP4 203.0.113.9 10.0.0.1 1 2\r\n'),
  text('PROXY TCP4 203.0.113.9 10.0.0.1 1\r\n'),
  text('PROXY TCP4 203.0.113.9 10.0.0.1 1 2 3\r\n'),
  text('PROXY TCP4 203.0.113.9 10.0.0.1 1 2 \r\n'),
  text('PROXY TCP4 203.0.113.9  10.0.0.1 1 2\r\n'),
  text('PROXY TCP4 203.0.113.9 10.0.0.1 1 65536\r\n'),
  text('PROXY TCP4 203.0.113.9 10.0.0.1 -1 2\r\n'),
  text('PROXY TCP4 203.0.113.9 10.0.0.1 01 2\r\n'),
  text('PROXY TCP4 203.0.113.9 10.0.0.1  2\r\n'),
  text('PROXY TCP4 203.0.113.256 10.0.0.1 1 2\r\n'),
  text('PROXY TCP4 203.0.113.09 10.0.0.1 1 2\r\n'),
  text('PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n'),
  text('PROXY TCP4 203.0.113.9 2001:db8::2 1 2\r\n'),
  text('PROXY TCP6 203.0.113.9 10.0.0.1 1 2\r\n'),
  text('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n'),
  text('PROXY TCP6 [::1] ::1 1 2\r\n'),
  text('PROXY UDP4 203.0.113.9 10.0.0.1 1 2\r\n'),
  text('PROXY unknown\r\n'),
  text('PROXY \r\n'),
  text('PROXY TCP4\r\n'),
  text(`PROXY UNKNOWN ${'a'.repeat(92)}\r\n`),
  text(`PROXY TCP4 ${' '.repeat(60_000)}`),
  text(`PROXY ${'a'.repeat(200)}`),
  binaryHeader({ command: 0x11, source: '203.0.113.9' }),
  binaryHeader({ command: 0x22, source: '203.0.113.9' }),
  binaryHeader({ command: 0x2f, source: '203.0.113.9' }),
  binaryHeader({ family: 0x12, source: '203.0.113.9' }),
  binaryHeader({ family: 0x22, source: '2001:db8::1' }),
  binaryHeader({ family: 0x31, more: Buffer.alloc(216) }),
  binaryHeader({ family: 0x41, source: '203.0.113.9' }),
  binaryHeader({ family: 0x11 }),
  binaryHeader({ family: 0x11, more: Buffer.alloc(11) }),
  binaryHeader({ family: 0x21, source: '203.0.113.9' }),
  binaryHeader({ source: '203.0.113.9', more: Buffer.alloc(2037) }),
  binaryHeader({ command: 0x20, more: Buffer.alloc(65_535) }),
]

await t.test('broken headers are malformed as soon as that is certain', async (test) => {
  for (const header of broken) {
    const name = JSON.stringify(header.toString('latin1').slice(0, 50))
    test.equal(parseProxyHeader(header).kind, 'malformed', name)
    let seen = false
    for (let length = 0; length <= Math.min(header.length, 400); length++) {
      const { kind } = parseProxyHeader(header.subarray(0, length))
      if (kind === 'whole' || (seen && kind !== 'malformed'))
        test.fail(`${name}: ${length} bytes are ${kind}`)
      seen ||= kind === 'malformed'
    }
  }
})

await t.test(
  'every byte of a header, changed: never a client that the header does not name',
  async (test) => {
    for (const [header] of valid.filter(([{ length }]) => length < 120))
      for (let at = 0; at < header.length; at++)
        for (const byte of [0, 0x0a, 0x20, 0x30, 0x7f, 0xff]) {
          const other = Buffer.from(header)
          other[at] = byte
          const parsed = parseProxyHeader(other)
          if (parsed.kind === 'whole' && parsed.length > other.length) test.fail('more than there is')
        }
    test.pass()
  },
)
