/**
 * The Authorization header of a client, and the WWW-Authenticate challenge.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import { RegistryError, type RegistryErrorOptions } from '../../oci/errors.ts'
import { trimBlanks, withoutBlanks } from '../../secrets/pasted-text.ts'

/** `userInfo` is the whole `user:password`, to be compared with the robots' credentials. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly token: string; readonly userInfo: string }
  | { readonly kind: 'bearer'; readonly token: string }
  /** `reason` is a clause that tells a person what to do. */
  | { readonly kind: 'malformed'; readonly reason: string }

/** Characters of the longest accepted header: the longest token and a long name, in base64. Every request hashes the whole header. */
const maxHeaderLength = 24 * 1024

export const parseAuthorization = (header: string | undefined): Credential => {
  const text = trimBlanks(asWritten(header ?? ''))
  if (text === '') return { kind: 'none' }
  if (text.length > maxHeaderLength) return malformed('it is longer than any token; paste the token alone')
  const end = text.search(/[ \t]|$/)
  const scheme = text.slice(0, end)
  const value = trimBlanks(text.slice(end))
  if (value === '') return malformed('there is nothing behind the scheme')
  if (scheme.toLowerCase() === 'bearer') return { kind: 'bearer', token: value }
  if (scheme.toLowerCase() === 'basic') return parseBasic(value)
  return malformed('its scheme is neither Basic nor Bearer')
}

/** Node decodes each byte of a field as one character; clients send UTF-8. */
const asWritten = (header: string): string => {
  const text = Buffer.from(header, 'latin1').toString()
  return text.includes('\uFFFD') ? header : text
}

const parseBasic = (value: string): Credential => {
  // Pasted credentials contain line breaks. Clients use both alphabets of base64, with and without padding.
  const base64 = withoutBlanks(value)
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(base64)) return malformed('what is behind Basic is not base64')
  return parseUserInfo(Buffer.from(base64, 'base64').toString())
}

/**
 * The token follows the last colon: `oc whoami` prints `system:serviceaccount:ns:name` or `kube:admin`, clients split stored logins at
 * the first colon, and tokens contain no colon. The user name is ignored, because `oc registry login` stores `user`. White space and NUL
 * around the token are removed: they come with pasting and with docker's files.
 */
export const parseUserInfo = (pasted: string): Credential => {
  const text = trimBlanks(pasted)
  const colon = text.lastIndexOf(':')
  const [username, token] = [trimBlanks(text.slice(0, Math.max(0, colon))), trimBlanks(text.slice(colon + 1))]
  if (colon === -1) return malformed('it is not of the form user:token')
  if (token === '') return malformed('the password is empty: does oc whoami -t print a token?')
  return { kind: 'basic', username, token, userInfo: `${username}:${token}` }
}

const malformed = (reason: string): Credential => ({ kind: 'malformed', reason })

type ForLog = RegistryErrorOptions['forLog']

/** The 401 errors of one registry. Each has the same challenge, on one line, with the realm first and without empty values. */
export interface Challenge {
  /** The request had no credential. */
  readonly unauthorized: (message: string, forLog?: ForLog) => RegistryError
  /** The credential is invalid or has expired. `error` makes containerd request a new token instead of repeating this one. */
  readonly invalidToken: (message: string, forLog?: ForLog) => RegistryError
}

/**
 * @param realm absolute URL of `/v2/auth` as clients reach it. It is configured: the Host header is written by the client, and the scheme
 *   is unknown behind a proxy that ends TLS
 * @param service the registry's host
 */
export const createChallenge = (realm: string, service: string): Challenge => {
  const bearer = `Bearer realm="${realm}",service="${service}"`
  const unauthorized = (message: string, challenge: string, forLog: ForLog) =>
    new RegistryError('UNAUTHORIZED', message, {
      headers: { 'www-authenticate': challenge },
      ...(forLog === undefined ? {} : { forLog }),
    })
  return {
    unauthorized: (message, forLog) => unauthorized(message, bearer, forLog),
    invalidToken: (message, forLog) => unauthorized(message, `${bearer},error="invalid_token"`, forLog),
  }
}
