/**
 * The header of the PROXY protocol, version 1 and 2: what a load balancer that passes TLS through says of the client before the
 * client's own first byte.
 * @see https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt
 */
import { isIPv4, isIPv6 } from 'node:net'
import { parseAddress } from '../access/ip-address.ts'

/**
 * `source`: the client's address; undefined where the proxy does not know it, or speaks for itself.
 * `isOwn`: the proxy speaks for itself (LOCAL, a health check).
 * `length`: bytes of the header; what follows is the client's.
 */
export type ProxyHeader =
  | {
      readonly kind: 'whole'
      readonly length: number
      readonly source: string | undefined
      readonly isOwn: boolean
    }
  | { readonly kind: 'partial' }
  | { readonly kind: 'malformed' }

const partial: ProxyHeader = { kind: 'partial' }
const malformed: ProxyHeader = { kind: 'malformed' }

const textPrefix = Buffer.from('PROXY ')
/** By the specification, the line end included. */
const maxTextLength = 107
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n')
const fixedLength = 16
/** Bytes behind the fixed part: two IPv6 addresses and TLVs (of TLS, of a cloud's endpoints), hundreds of bytes in the wild. */
const maxVariableLength = 2048

/** @param received all that has come so far */
export const parseProxyHeader = (received: Buffer): ProxyHeader => {
  if (isBegunBy(received, textPrefix)) return parseText(received)
  return isBegunBy(received, signature) ? parseBinary(received) : malformed
}

/** As much as there is of either. */
const isBegunBy = (received: Buffer, prefix: Buffer): boolean => {
  const length = Math.min(received.length, prefix.length)
  return received.compare(prefix, 0, length, 0, length) === 0
}

/** `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n`, `PROXY UNKNOWN ...\r\n` */
const parseText = (received: Buffer): ProxyHeader => {
  const line = received.toString('latin1', 0, maxTextLength)
  const end = line.indexOf('\r\n')
  if (end === -1) return line.length < maxTextLength ? partial : malformed
  const [, protocol, ...fields] = line.slice(0, end).split(' ')
  const length = end + 2
  if (protocol === 'UNKNOWN') return { kind: 'whole', length, source: undefined, isOwn: false }
  const isAddress = protocol === 'TCP4' ? isIPv4 : protocol === 'TCP6' ? isIPv6 : () => false
  const [source = '', destination = '', ...ports] = fields
  const isRight =
    fields.length === 4 && [source, destination].every(isAddress) && ports.every((port) => isPort(port))
  // A zone is nobody's but the proxy's.
  return isRight && !source.includes('%')
    ? { kind: 'whole', length, source: parseAddress(source), isOwn: false }
    : malformed
}

const isPort = (text: string): boolean => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) < 65_536

/** Where the source stands, by family and transport; a stream over a stream, all else is none of our clients. */
const addresses: Readonly<Record<number, { readonly each: number; readonly both: number }>> = {
  0x11: { each: 4, both: 12 },
  0x21: { each: 16, both: 36 },
}

const parseBinary = (received: Buffer): ProxyHeader => {
  if (received.length < fixedLength) return partial
  const command = received.readUInt8(12)
  const family = received.readUInt8(13)
  const variable = received.readUInt16BE(14)
  if ((command !== 0x20 && command !== 0x21) || variable > maxVariableLength) return malformed
  const length = fixedLength + variable
  const isOfClient = command === 0x21 && family !== 0
  const address = addresses[family]
  if (isOfClient && (address === undefined || variable < address.both)) return malformed
  if (received.length < length) return partial
  const source =
    isOfClient && address !== undefined
      ? textOf(received.subarray(fixedLength, fixedLength + address.each))
      : undefined
  return { kind: 'whole', length, source, isOwn: command === 0x20 }
}

const textOf = (bytes: Buffer): string | undefined => {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16))
  return parseAddress(groups.join(':'))
}
