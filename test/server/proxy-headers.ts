/** Headers of the PROXY protocol, as load balancers send them. */
import ipaddr from 'ipaddr.js'

interface Binary {
  readonly source?: string
  readonly command?: number
  readonly family?: number
  /** TLVs, or whatever stands behind the addresses. */
  readonly more?: Buffer
}

const signature = '0d0a0d0a000d0a515549540a'

export const binaryHeader = ({ source, command = 0x21, family, more = Buffer.alloc(0) }: Binary): Buffer => {
  const bytes = source === undefined ? [] : ipaddr.parse(source).toByteArray()
  const addresses = source === undefined ? [] : [...bytes, ...bytes, 0xdc, 0x04, 1, 0xbb]
  const own = source === undefined ? 0 : bytes.length === 4 ? 0x11 : 0x21
  const length = Buffer.alloc(2)
  length.writeUInt16BE(addresses.length + more.length)
  return Buffer.concat([
    Buffer.from(signature, 'hex'),
    Buffer.from([command, family ?? own]),
    length,
    Buffer.from(addresses),
    more,
  ])
}

export const textHeader = (source: string): Buffer =>
  Buffer.from(
    `PROXY ${source.includes(':') ? 'TCP6' : 'TCP4'} ${source} ${source.includes(':') ? '::1' : '10.0.0.1'} 56324 443\r\n`,
  )
