/**
 * The robot's login: upstream's challenge names a realm, and the realm issues a token for the stored credential.
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
  /** One GET without redirects, with a bounded body. @throws {RegistryError} if upstream does not answer */
  readonly get: (url: URL, authorization?: string) => Promise<LoginAnswer>
  /** Called if upstream refuses the robot: its credential does not work until an administrator acts. */
  readonly onRefused: (reason: string) => void
}

export interface CachedToken {
  readonly header: string | undefined
  /** Milliseconds since the epoch. From `refreshAt` on a new token is fetched while this one is used until `expiresAt`. */
  readonly refreshAt: number
  readonly expiresAt: number
}

/** A request that starts with a token must still get through its queue. Quay accepts a token for 30 s after it expired. */
const safetyMs = 30_000
/** A long-lived token is refreshed this long before it expires, so that some failures of the realm cause no error. */
const refreshMs = 300_000
/** The life of a token without an expiry. @see https://distribution.github.io/distribution/spec/auth/token/#token-response-fields */
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
    // A share of the time of use, not of the life: a token that lives for a minute would expire before it is refreshed.
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

/** Attack: a challenge that names a realm on another site would get the robot's password. */
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

/** Quay answers 200 with an empty grant if a robot lacks a right. A token without a list of grants is trusted. */
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
    // An opaque token is valid, too. It only has no claims to read.
    return {}
  }
}

const parseObject = (body: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = parseAnswer(Buffer.from(body))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch (error) {
    // A page of HTML with 200 is no refusal: cached answers are served meanwhile, and the login is retried.
    throw asTransient(unavailable('the upstream registry gives no token now; try again in a moment', error))
  }
}
