/**
 * The header of the PROXY protocol, versions 1 and 2: a load balancer that passes TLS through names the client in it.
 * @see https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt
 */
import { isIPv4, isIPv6 } from 'node:net'
import { parseAddress } from '../access/ip-address.ts'

/**
 * `source`: the client's address; undefined if the proxy does not know it, or speaks for itself. `isOwn`: the proxy speaks for itself
 * (LOCAL, a health check). `length`: bytes of the header; the client's bytes follow.
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
/** The longest header by the specification, line end included. */
const maxTextLength = 107
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n')
const fixedLength = 16
/** Bytes after the fixed part: two IPv6 addresses and TLVs (of TLS, of a cloud's endpoints). Real headers have hundreds of bytes. */
const maxVariableLength = 2048

/** @param received all bytes since the start of the connection */
export const parseProxyHeader = (received: Buffer): ProxyHeader => {
  if (isBegunBy(received, textPrefix)) return parseText(received)
  return isBegunBy(received, signature) ? parseBinary(received) : malformed
}

/** Compares as many bytes as both have. */
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
  // A zone means nothing outside the proxy.
  return isRight && !source.includes('%')
    ? { kind: 'whole', length, source: parseAddress(source), isOwn: false }
    : malformed
}

const isPort = (text: string): boolean => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) < 65_536

/** The offset of the source address, by family and transport. Only a stream over TCP can be a client of ours. */
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
