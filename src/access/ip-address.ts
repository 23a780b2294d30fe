/**
 * IP addresses of clients: parses their spellings, and finds the network that a limit counts.
 */
import { isIP, isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** The longest spelling: brackets, eight groups of which two are dotted, a zone, a port. */
const maxAddressLength = 80

/**
 * Parses an address as proxies write it: `192.0.2.1`, `192.0.2.1:5678`, `2001:db8::1`, `[2001:db8::1]:443`, `fe80::1%eth0`,
 * `::ffff:192.0.2.1`. Undefined for any other text of any length (RFC 7239's `unknown` and `_hidden`, names, garbage).
 */
export const parseAddress = (text: string): string | undefined => {
  if (text.length > maxAddressLength) return undefined
  const host = withoutPort(text)
  if (isIPv4(host)) return host
  const [address = ''] = host.split('%', 1)
  if (isIP(address) !== 6) return undefined
  const parsed = ipaddr.IPv6.parse(address)
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toString()
}

const withoutPort = (text: string): string => {
  const bracketed = text.startsWith('[')
  const end = bracketed ? text.indexOf(']') : text.indexOf(':')
  // Without brackets, more than one colon is an IPv6 address, which has no port then.
  if (end === -1 || (!bracketed && text.includes(':', end + 1))) return text
  const host = bracketed ? text.slice(1, end) : text.slice(0, end)
  const port = text.slice(bracketed ? end + 1 : end)
  const isWhole = (bracketed && port === '') || /^:\d{1,5}$/.test(port)
  return isWhole && bracketed === host.includes(':') ? host : ''
}

/** The address itself, or the /64 network of an IPv6 address. @param address as `parseAddress` returns it, or `unknown` */
export const networkOf = (address: string): string => {
  if (!address.includes(':')) return address
  const groups = ipaddr.IPv6.parse(address).parts.slice(0, 4)
  return `${groups.map((group) => group.toString(16)).join(':')}::/64`
}

/** The network that a client's address belongs to, which limits are counted by; `unknown` for a text that is not an address. */
export const networkOfClient = (client: string): string => networkOf(parseAddress(client) ?? 'unknown')
