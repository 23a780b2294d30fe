/**
 * Where a redirect of upstream may lead. Quay answers a blob with a 302 to a signed URL of its CDN. An attacker with the same mechanism
 * (a taken-over bucket, a poisoned response) would turn the proxy against its own network (SSRF).
 */
import { isIP } from 'node:net'
import { lookup as dnsLookup, type LookupAddress } from 'node:dns'
import ipaddr from 'ipaddr.js'
import { unavailable } from '../../oci/errors.ts'

export interface RedirectRules {
  /** Plain http only if the upstream itself is configured so. */
  readonly allowHttp: boolean
  /** Loopback, link-local and private addresses only if the upstream is on one. */
  readonly allowPrivate: boolean
}

/** @throws {RegistryError} UNAVAILABLE; its message and cause never hold the URL, because its query opens the blob */
export const checkRedirect = (location: string | undefined, base: URL, rules: RedirectRules): URL => {
  const url = location === undefined ? null : URL.parse(location, base)
  if (url === null) throw refused('no readable Location')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && rules.allowHttp))
    throw refused(`to ${url.protocol}`)
  if (url.username !== '' || url.password !== '') throw refused('with a user in it')
  if (!rules.allowPrivate && isPrivateHost(url.hostname)) throw refused('to a private address')
  return url
}

const refused = (reason: string) =>
  unavailable(
    'the upstream registry redirects where the proxy does not follow',
    new Error(`redirect ${reason}`),
  )

/** For an address or `localhost`, without DNS. `publicLookup` checks other names when it resolves them. */
export const isPrivateHost = (hostname: string): boolean => {
  const host = hostname.replaceAll(/^\[|\]$/g, '')
  return host === 'localhost' || host.endsWith('.localhost') || (isIP(host) !== 0 && isPrivateAddress(host))
}

/** Everything but globally routable unicast: loopback, link-local, RFC 1918, unique local, carrier NAT, multicast... */
export const isPrivateAddress = (address: string): boolean => ipaddr.process(address).range() !== 'unicast'

export type Lookup = typeof dnsLookup
type GuardedLookup = (
  hostname: string,
  options: object,
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
) => void

/**
 * A resolver for connections to redirect targets. The checked address is the one that is connected to. Attack: a name that resolves to
 * another address for the connection than for the check (DNS rebinding).
 */
export const publicLookup =
  (allowPrivate: () => boolean, lookup: Lookup = dnsLookup): GuardedLookup =>
  (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const isAllowed = allowPrivate() || addresses.every(({ address }) => !isPrivateAddress(address))
      return callback(
        isAllowed ? null : refused('to a name with a private address'),
        isAllowed ? addresses : [],
      )
    })
  }

/** A resolver that reports the addresses of a name, and uses them. */
export const observedLookup =
  (observe: (addresses: readonly string[]) => void, lookup: Lookup = dnsLookup): GuardedLookup =>
  (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      observe(addresses.map(({ address }) => address))
      return callback(null, addresses)
    })
  }
