/**
 * The form of a token, before it is reviewed: whether it can be a token, its kind, and its claims. The claims are not verified. They are
 * for messages and logs only, with one exception: a token that says that it has expired is refused.
 */
import { decodeJwt } from 'jose'
import type { TokenKind, UnverifiedClaims } from '../access/token-refusal.ts'
import { printable } from './foreign-text.ts'

/** `openshift`: `sha256~` and 43 characters, or a JWT; `any`: clusters may have opaque tokens of any form. */
export type TokenFormat = 'any' | 'openshift'

export interface TokenForm {
  readonly kind: TokenKind
  readonly claims: UnverifiedClaims
  /** The reason for a refusal without a review: a sentence without its full stop. */
  readonly refusal?: string
}

/** @see https://datatracker.ietf.org/doc/html/rfc6750#section-2.1 */
const bearerTokenPattern = /^[A-Za-z0-9._~+/-]+=*$/
const openshiftPattern = /^sha256~[A-Za-z0-9_-]{43}$/
/** Characters. Tokens of clusters have 1 to 2 KiB, tokens of some identity providers 8 KiB. */
const maxTokenLength = 16 * 1024

/** @param now milliseconds since the epoch */
export const formOf = (token: string, format: TokenFormat, now: number): TokenForm => {
  const unusable = whatIsWrong(token)
  if (unusable !== undefined) return { kind: 'opaque', claims: {}, refusal: unusable }
  if (openshiftPattern.test(token)) return { kind: 'openshift', claims: {} }
  const claims = claimsOf(token)
  if (claims === undefined)
    return format === 'any'
      ? { kind: 'opaque', claims: {} }
      : { kind: 'opaque', claims: {}, refusal: whatOpenshiftLacks(token) }
  const { exp } = claims
  const told = unverified(claims)
  if (typeof exp === 'number' && exp * 1000 <= now)
    return { kind: 'jwt', claims: told, refusal: `it expired at ${timeOf(exp)}` }
  return { kind: 'jwt', claims: told }
}

/** The `exp` of a JWT in milliseconds since the epoch; undefined for a token without one. */
export const expiryOf = (token: string): number | undefined => {
  const exp = claimsOf(token)?.['exp']
  // The token is not verified, so `exp` may have any type; a life that is computed from it must be a number.
  return typeof exp === 'number' ? exp * 1000 : undefined
}

/** The audiences that the token claims; undefined for a token that is no JWT. */
export const audiencesOf = (token: string): readonly unknown[] | undefined => {
  const claims = claimsOf(token)
  return claims === undefined ? undefined : [claims['aud'] ?? []].flat()
}

type Claims = Readonly<Record<string, unknown>>

const jwtPattern = /^[\w-]+\.[\w-]+\.[\w-]*$/

const claimsOf = (token: string): Claims | undefined => {
  // A thrown error costs more than all other work for an unknown token.
  if (!jwtPattern.test(token)) return undefined
  try {
    return decodeJwt(token)
  } catch {
    // Not a JWT.
    return undefined
  }
}

/** Describes what people most probably pasted instead of a token. */
const whatIsWrong = (token: string): string | undefined => {
  if (token.length > maxTokenLength) return `it is longer than ${maxTokenLength / 1024} KiB`
  if (bearerTokenPattern.test(token)) return undefined
  if (token === '') return 'it is empty'
  if (token.includes('$(') || token.includes('${') || token.includes('`'))
    return 'it is a command that no shell has run: use double quotes, not single ones'
  if (/\s/.test(token)) return 'it holds white space: is it an error message, or more than the token?'
  if (/["'\u2018-\u201d]/.test(token)) return 'it holds quotes: paste what is between them'
  return 'it holds characters that no token has'
}

const openshiftPrefix = 'sha256~'
const openshiftLength = 43

/** Describes a text that could be a token of another system, only by its length. */
const whatOpenshiftLacks = (token: string): string => {
  const length = token.length - openshiftPrefix.length
  if (token.startsWith(openshiftPrefix) && length !== openshiftLength)
    return `it has ${length} characters behind sha256~ instead of ${openshiftLength}: copy all of what oc whoami -t prints, and nothing else`
  return Buffer.from(token, 'base64').includes(openshiftPrefix)
    ? 'it is base64 of a token: give the token itself'
    : 'it is neither sha256~ and 43 characters, as oc whoami -t shows it, nor a JWT'
}

const unverified = ({ iss, sub, aud, exp }: Claims): UnverifiedClaims => ({
  ...textOf('iss', iss),
  ...textOf('sub', sub),
  ...textOf('aud', Array.isArray(aud) ? aud.filter((one) => typeof one === 'string').join(' ') : aud),
  ...(typeof exp === 'number' ? { exp: timeOf(exp) } : {}),
})
const textOf = <Name extends string>(name: Name, value: unknown): { readonly [Key in Name]?: string } =>
  (typeof value === 'string' ? { [name]: printable(value, '', 120) } : {}) as { [Key in Name]?: string }

/** Attack: a number that is no time would throw. */
const timeOf = (seconds: number): string => {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? 'no time that there is' : `${date.toISOString().slice(0, 19)}Z`
}
