/**
 * Who comes from the same place, as far as limits go.
 */
import ipaddr from 'ipaddr.js'

/**
 * Whoever has an IPv6 address has 2^64 of them: the network counts. An IPv4 address is the same one where it is written as IPv6.
 * @param client what a trusted proxy hands on may be anything a client has written: that is `unknown`
 */
export const addressOf = (client: string): string => {
  if (!ipaddr.isValid(client)) return 'unknown'
  const address = ipaddr.process(client)
  return address.kind() === 'ipv4'
    ? address.toString()
    : address.toByteArray().slice(0, 8).join('.') + '::/64'
}
