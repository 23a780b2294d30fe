/**
 * What a client shows, and what it is told to show: the Authorization header and the WWW-Authenticate challenge.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import { RegistryError, type RegistryErrorOptions } from '../../oci/errors.ts'
import { trimBlanks, withoutBlanks } from '../../secrets/pasted-text.ts'

/** `userInfo` is the whole of `user:password`, for a credential (the robot's) that is known in advance. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly token: string; readonly userInfo: string }
  | { readonly kind: 'bearer'; readonly token: string }
  /** `reason` is a clause for the person who has to do better. */
  | { readonly kind: 'malformed'; readonly reason: string }

/** The longest header that is looked at: the longest token in base64, with a long name. All of it is hashed on every request. */
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

/** Node reads each byte of a field as a character; clients send UTF-8. */
const asWritten = (header: string): string => {
  const text = Buffer.from(header, 'latin1').toString()
  return text.includes('\uFFFD') ? header : text
}

const parseBasic = (value: string): Credential => {
  // Files are wrapped, and pasted with what wraps them. Both alphabets, with and without padding, are in use.
  const base64 = withoutBlanks(value)
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(base64)) return malformed('what is behind Basic is not base64')
  return parseUserInfo(Buffer.from(base64, 'base64').toString())
}

/**
 * `oc whoami` gives `system:serviceaccount:ns:name` or `kube:admin`, and clients split stored logins at the first colon: the
 * token is what follows the last one. Tokens hold none. The user name is not compared with anything: `oc registry login`
 * stores `user`. What was pasted along around it (line ends, NUL as docker's files have it) is not part of it.
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

/** Makes the 401s of one registry: each with the same challenge, on one line, realm first, no empty value. */
export interface Challenge {
  /** Nothing was shown. */
  readonly unauthorized: (message: string, forLog?: ForLog) => RegistryError
  /** What was shown is not valid (any more); `error` makes containerd ask for a new token instead of trying it again. */
  readonly invalidToken: (message: string, forLog?: ForLog) => RegistryError
}

/**
 * @param realm absolute URL of `/v2/auth` as clients reach it: configured, since the Host header is the client's own word and
 *   the scheme is lost where TLS ends before us
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
