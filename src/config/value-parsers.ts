/**
 * The values of flags: durations and listen addresses in the form of Go, sizes in that of Kubernetes, host names, networks and URLs. Each
 * parser returns undefined for text that is not of its form.
 */
import ipaddr from 'ipaddr.js'

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

/** `90s`, `1h30m`, `250ms` -> whole milliseconds. @see https://pkg.go.dev/time#ParseDuration */
export const parseDuration = (text: string): number | undefined => {
  if (text === '0') return 0
  if (!/^(?:\d{1,15}(?:\.\d{1,15})?(?:ms|s|m|h))+$/.test(text)) return undefined
  const parts = text.matchAll(/(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h)/g)
  const total = [...parts].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * unitMs[unit as keyof typeof unitMs],
    0,
  )
  // Whole ones, as timers and caches count: 1.001 s are 1000.9999999999999 ms. Never 0 for more than that, which often means "off".
  const whole = total === 0 ? 0 : Math.max(1, Math.round(total))
  return Number.isSafeInteger(whole) ? whole : undefined
}

const unitBytes = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
} as const

/** `64Mi`, `1G`, `500000` -> bytes. @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
export const parseSize = (text: string): number | undefined => {
  const [, amount, unit] = /^(\d{1,15}(?:\.\d{1,3})?)(k|M|G|T|Ki|Mi|Gi|Ti|)$/.exec(text) ?? []
  const bytes = Math.floor(Number(amount) * unitBytes[unit as keyof typeof unitBytes])
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

export interface ListenAddress {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
}

/** `127.0.0.1:8400`, `[::1]:8400`, `:8400` for every address. @see https://pkg.go.dev/net#Listen */
export const parseListenAddress = (text: string): ListenAddress | undefined => {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]*)):(\d{1,5})$/i.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535) return undefined
  return { host: bracketed ?? (plain === undefined || plain === '' ? '::' : plain), port }
}

/** `example.org`, `example.org:8443`: the part between `https://` and the path. */
export const parseHost = (text: string): string | undefined =>
  /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/i.test(text) ? text : undefined

/**
 * `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`. Not the short forms of IPv4 (`10` is 0.0.0.10 to some, `010.0.0.1` is 8.0.0.1), nor a
 * network of everybody (`/0`), which the server does not take.
 */
export const parseNetwork = (text: string): string | undefined => {
  const [address = '', prefix] = text.split('/')
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(address) || ipaddr.IPv6.isValid(address)
  if (prefix === undefined) return isAddress ? text : undefined
  return isAddress && ipaddr.isValidCIDR(text) && Number(prefix) > 0 ? text : undefined
}

/** An origin: http or https, no user, path, query or fragment. */
export const parseOrigin = (text: string): URL | undefined => {
  const url = parseWebUrl(text)
  return url?.href === `${url?.origin}/` ? url : undefined
}

/** A page on the web, without a user: its text goes into messages. */
export const parseWebUrl = (text: string): URL | undefined => {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return undefined
  return url.username === '' && url.password === '' ? url : undefined
}

/** `redis://host:6379`, `rediss://user@host/1`: the number is that of a database. A password is accepted here, and refused with the files. */
export const parseStoreUrl = (text: string): URL | undefined => {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '')
    return undefined
  return /^(?:\/\d{0,4})?$/.test(url.pathname) && url.search === '' && url.hash === '' ? url : undefined
}
