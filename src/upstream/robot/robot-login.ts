/**
 * The robot's login: upstream's challenge names a realm, and the realm gives a token for the stored credential.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import { decodeJwt } from 'jose'
import { getDomain } from 'tldts'
import { unavailable, type RegistryError } from '../../oci/errors.ts'
import { parseAnswer } from '../../oci/json-bounds.ts'
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { secondsOf, asTransient, UpstreamRateLimited } from '../errors.ts'
import type { LoginAnswer } from '../request.ts'
import { parseChallenge, type Challenge } from './challenge.ts'

export interface LoginOptions {
  readonly upstream: URL
  /** `openshift/ci` */
  readonly repository: string
  /** One GET without redirects; body bounded. @throws {RegistryError} where upstream does not answer */
  readonly get: (url: URL, authorization?: string) => Promise<LoginAnswer>
  /** Upstream refuses the robot: nobody can pull with it until an administrator acts. */
  readonly onRefused: (reason: string) => void
}

export interface CachedToken {
  readonly header: string | undefined
  /** Milliseconds since the epoch from which a new one is fetched beside it, and until which it may be used. */
  readonly refreshAt: number
  readonly expiresAt: number
}

/** Quay accepts a token 30 s past its end; a request that starts with it must also get through its queue. */
const safetyMs = 30_000
/** A long-lived token is refreshed this long before its end: a few failures of its realm pass unnoticed. */
const refreshMs = 300_000
/** Life of a token that does not say. https://distribution.github.io/distribution/spec/auth/token/#token-response-fields */
const defaultLifeSeconds = 60
/** @throws {RegistryError} UNAVAILABLE, TOOMANYREQUESTS */
export const logIn = async (
  options: LoginOptions,
  { username, password }: RobotCredential,
  now: () => number,
): Promise<CachedToken> => {
  const { upstream, get } = options
  const ping = await get(new URL('/v2/', upstream))
  if (ping.status === 200) return { header: undefined, refreshAt: Infinity, expiresAt: Infinity }
  const challenge = parseChallenge(ping.challenge ?? '')
  if (ping.status !== 401 || challenge === undefined)
    throw notNow('the upstream registry does not say how to log in; try again in a moment', '/v2/', ping)
  const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  if (challenge.scheme === 'basic') return { header: basic, refreshAt: Infinity, expiresAt: Infinity }
  return await fetchToken(options, challenge, basic, now)
}

const fetchToken = async (
  { upstream, repository, get, onRefused }: LoginOptions,
  challenge: Challenge,
  basic: string,
  now: () => number,
): Promise<CachedToken> => {
  const realm = realmOf(challenge, upstream)
  if (challenge.service !== undefined) realm.searchParams.set('service', challenge.service)
  realm.searchParams.append('scope', `repository:${repository}:pull`)
  const answer = await get(realm, basic)
  if (answer.status === 401 || answer.status === 403)
    throw refused(onRefused, `token endpoint answered ${answer.status}`)
  if (answer.status !== 200)
    throw notNow('the upstream registry gives no token now; try again in a moment', 'token endpoint', answer)
  const { token, lifeSeconds } = parseToken(answer.body, now())
  if (!grantsPull(token, repository)) throw refused(onRefused, `the robot may not pull ${repository}`)
  const lifeMs = lifeSeconds * 1000
  const usedMs = Math.max(lifeMs - safetyMs, lifeMs / 2)
  return {
    header: `Bearer ${token}`,
    // Of the time it is used, not of its life: a token of a minute would be out of use before it is refreshed.
    refreshAt: now() + Math.max(usedMs * 0.75, lifeMs - refreshMs),
    expiresAt: now() + usedMs,
  }
}

const notNow = (message: string, who: string, { status, retryAfter }: LoginAnswer): RegistryError => {
  if (status === 429)
    return new UpstreamRateLimited(
      'the upstream registry limits the logins of the proxy; try again in a moment',
      secondsOf(retryAfter),
    )
  const error = unavailable(message, new Error(`${who} answered ${status}`))
  return status >= 500 ? asTransient(error) : error
}

/** Attack: a challenge that names a realm elsewhere would be handed the robot's password. */
export const realmOf = (challenge: Challenge, upstream: URL): URL => {
  const realm = URL.parse(challenge.realm ?? '')
  const sameSite =
    realm?.host === upstream.host || (domain(realm) !== null && domain(realm) === domain(upstream))
  if (realm === null || !sameSite || (realm.protocol !== 'https:' && realm.protocol !== upstream.protocol))
    throw unavailable(
      'the upstream registry names a login page that is not its own',
      new Error(`realm on ${realm?.host ?? 'no host'}, upstream is ${upstream.host}`),
    )
  return realm
}

const domain = (url: URL | null): string | null =>
  url === null ? null : getDomain(url.hostname, { allowPrivateDomains: true })

const refused = (onRefused: (reason: string) => void, reason: string): RegistryError => {
  onRefused(reason)
  return unavailable(
    'the upstream registry refuses the proxy; its administrators have been told',
    new Error(reason),
    30,
  )
}

export const parseToken = (body: string, now: number): { token: string; lifeSeconds: number } => {
  const answer = parseObject(body)
  const token = [answer['token'], answer['access_token']].find(
    (value) => typeof value === 'string' && value !== '',
  )
  if (typeof token !== 'string')
    throw unavailable(
      'the upstream registry gives no token now; try again in a moment',
      new Error('no token in the answer'),
    )
  const { exp } = claimsOf(token)
  if (typeof exp === 'number') return { token, lifeSeconds: Math.max(0, exp - now / 1000) }
  const { expires_in: expiresIn } = answer
  return { token, lifeSeconds: typeof expiresIn === 'number' ? expiresIn : defaultLifeSeconds }
}

/** Quay answers 200 with an empty grant where a robot lacks a right; a token that does not say is taken at its word. */
const grantsPull = (token: string, repository: string): boolean => {
  const { access } = claimsOf(token)
  if (!Array.isArray(access)) return true
  return access.some(
    (grant: { name?: unknown; actions?: unknown } | null) =>
      grant?.name === repository && Array.isArray(grant.actions) && grant.actions.includes('pull'),
  )
}

const claimsOf = (token: string): Readonly<Record<string, unknown>> => {
  try {
    return decodeJwt(token)
  } catch {
    // Opaque tokens are as good as JWTs; there is only nothing to read in them.
    return {}
  }
}

const parseObject = (body: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = parseAnswer(Buffer.from(body))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch (error) {
    // A page of HTML with 200 refuses nobody: what is known is served meanwhile, and it is tried again.
    throw asTransient(unavailable('the upstream registry gives no token now; try again in a moment', error))
  }
}
