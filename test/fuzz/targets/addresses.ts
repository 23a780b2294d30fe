/** Where a request is said to come from: X-Forwarded-For, and the PROXY protocol. */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { ClientAddresses } from '../../../src/server/client-address.ts'
import { parseProxyHeader } from '../../../src/server/proxy-protocol.ts'
import { binaryHeader, textHeader } from '../../server/proxy-headers.ts'
import type { Random } from '../random.ts'
import { must, type Target } from '../target.ts'

const trusted = ['10.0.0.0/8', '::ffff:172.16.0.0/108', 'fd00::/8', '127.0.0.1']
/** Milliseconds. Linear takes less than one. */
const longMs = 500

export const addressFrom = (random: Random): string =>
  random.pick([
    () => random.some(['0', '1', '9', '10', '127', '172', '192', '255'], 4).join('.'),
    () => random.some(['0', '1', 'fd00', 'fe80', '2001', 'db8', 'ffff'], 8).join(':'),
    () => `2001:db8::${random.text('0123456789abcdef', 4)}`,
    () => `::ffff:${random.some(['1', '10', '172'], 4).join('.')}`,
  ])()

const entry = (random: Random): string => {
  const address = addressFrom(random)
  return random.pick([
    () => address,
    () => (address.includes(':') ? `[${address}]:443` : `${address}:443`),
    () => `${address}%eth0`,
    () => random.mutated(Buffer.from(address)).toString('latin1'),
    () =>
      random.pick([
        '',
        'unknown',
        '_hidden',
        'localhost',
        '?http://',
        '0x7f.1',
        '127.1',
        '010.0.0.1',
        '١.٢.٣.٤',
      ]),
    () => random.bytes(random.below(60)).toString('latin1'),
  ])()
}

const forwarded = (random: Random, clients: ClientAddresses): void => {
  const unit = random.pick([',', 'http://', '10.0.0.1,', '[', ':', ' ', '10.0.0.1, '])
  const header = random.chance(0.02)
    ? unit.repeat(Math.ceil(60_000 / unit.length))
    : Array.from({ length: random.below(8) }, () => entry(random)).join(random.pick([', ', ',', ' , ']))
  const remoteAddress = random.pick(['10.0.0.9', '192.0.2.1', '::ffff:10.1.2.3', 'fd00::1', undefined])
  const began = performance.now()
  const { address, network } = clients.of({
    socket: { remoteAddress },
    headers: { 'x-forwarded-for': header },
  } as unknown as IncomingMessage)
  must(performance.now() - began < longMs, 'the time is linear', header)
  must(address === 'unknown' || isIP(address) !== 0, 'an address is one, or unknown', { header, address })
  must(
    isIP(address) !== 6 || (address.length <= 39 && network.endsWith('::/64')),
    'and in its one spelling',
    address,
  )
  const peer = clients.of({ socket: { remoteAddress }, headers: {} } as unknown as IncomingMessage)
  if (remoteAddress === '192.0.2.1')
    must(address === peer.address, 'who is not trusted is not believed', header)
}

const introduced = (random: Random): void => {
  const source = random.pick(['192.0.2.7', '2001:db8::7'])
  const whole = random.chance(0.5)
    ? textHeader(source)
    : binaryHeader({ source, more: random.bytes(random.below(40)) })
  const behind = random.bytes(random.below(20))
  const read = parseProxyHeader(Buffer.concat([whole, behind]))
  must(
    read.kind === 'whole' && read.length === whole.length && read.source === source,
    'a header is read',
    read,
  )
  const cut = parseProxyHeader(whole.subarray(0, random.below(whole.length)))
  must(cut.kind === 'partial', 'a beginning of one is no header yet, and not wrong', cut)
  const broken = parseProxyHeader(random.mutated(whole))
  if (broken.kind !== 'whole') return
  must(broken.source === undefined || isIP(broken.source) !== 0, 'a source is an address', broken)
  must(broken.length <= 16 + 2048, 'its length is bounded', broken)
}

export const addresses: Target = {
  name: 'addresses',
  about: 'whatever a proxy or client says: an address is one, or unknown',
  start: async () => {
    const clients = new ClientAddresses(trusted)
    return {
      run: (random) => {
        forwarded(random, clients)
        introduced(random)
      },
      close: async () => undefined,
    }
  },
}
