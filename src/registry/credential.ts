/**
 * What a client shows, and what it is told to show: the Authorization header and the WWW-Authenticate challenge.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import { RegistryError } from '../errors.ts'

/** `userInfo` is the whole of `user:password`, for a credential (the robot's) that is known in advance. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly token: string; readonly userInfo: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'malformed' }

/** The longest header that is looked at: cluster tokens are 1-2 KiB, all of it is hashed on every request. */
const maxHeaderLength = 16 * 1024

export const parseAuthorization = (header: string | undefined): Credential => {
  if (header === undefined || header === '') return { kind: 'none' }
  const [, scheme = '', value = ''] = /^([a-z]+) +(\S+)\s*$/i.exec(header.slice(0, maxHeaderLength)) ?? []
  if (header.length > maxHeaderLength) return { kind: 'malformed' }
  if (scheme.toLowerCase() === 'bearer') return { kind: 'bearer', token: value }
  if (scheme.toLowerCase() === 'basic') return parseUserInfo(Buffer.from(value, 'base64').toString())
  return { kind: 'malformed' }
}

/**
 * `oc whoami` gives `system:serviceaccount:ns:name` or `kube:admin`, and clients split stored logins at the first colon: the
 * token is what follows the last one. Tokens hold none. The user name is not compared with anything: `oc registry login`
 * stores `user`.
 */
export const parseUserInfo = (userInfo: string): Credential => {
  const colon = userInfo.lastIndexOf(':')
  const token = userInfo.slice(colon + 1)
  if (colon === -1 || token === '') return { kind: 'malformed' }
  return { kind: 'basic', username: userInfo.slice(0, colon), token, userInfo }
}

/** Makes the 401s of one registry: each with the same challenge, on one line, realm first, no empty value. */
export interface Challenge {
  /** Nothing was shown. */
  readonly unauthorized: (message: string) => RegistryError
  /** What was shown is not valid (any more); `error` makes containerd ask for a new token instead of trying it again. */
  readonly invalidToken: (message: string) => RegistryError
}

/**
 * @param realm absolute URL of `/v2/auth` as clients reach it: configured, since the Host header is the client's own word and
 *   the scheme is lost where TLS ends before us
 * @param service the registry's host
 */
export const createChallenge = (realm: string, service: string): Challenge => {
  const bearer = `Bearer realm="${realm}",service="${service}"`
  const unauthorized = (message: string, challenge: string) =>
    new RegistryError('UNAUTHORIZED', message, { headers: { 'www-authenticate': challenge } })
  return {
    unauthorized: (message) => unauthorized(message, bearer),
    invalidToken: (message) => unauthorized(message, `${bearer},error="invalid_token"`),
  }
}
