/**
 * The bearer tokens of one registry: one for each set of scopes. Each is requested once at a time.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { parseChallenge, type Challenge } from '../../upstream/robot/challenge.ts'
import { parseToken, realmOf } from '../../upstream/robot/upstream-login.ts'
import { RegistryFailure } from './failure.ts'

/** `repository:openshift/ci:pull,push` */
export type Scope = string

export const scopeOf = (repository: string, actions: 'pull' | 'pull,push'): Scope =>
  `repository:${repository}:${actions}`

export interface TokensOptions {
  readonly origin: URL
  /** Undefined: anonymous. */
  readonly credential: RobotCredential | undefined
  /** Sends one GET without redirects, and returns the text of the answer. */
  readonly get: (
    url: URL,
    authorization: string | undefined,
  ) => Promise<{ readonly status: number; readonly body: string }>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

interface CachedToken {
  readonly header: string
  readonly expiresAt: number
}

/** A token is not used in the last milliseconds of its life, because a request may wait for its turn. */
const safetyMs = 30_000

export class Tokens {
  readonly #options: TokensOptions
  /** Undefined until the first 401. */
  #challenge: Challenge | undefined
  readonly #cached = new Map<string, CachedToken>()
  readonly #fetching = new Map<string, Promise<CachedToken>>()

  constructor(options: TokensOptions) {
    this.#options = options
  }

  /** The field Authorization; undefined until the first 401. @throws {RegistryFailure} */
  async authorization(scopes: readonly Scope[]): Promise<string | undefined> {
    if (this.#challenge === undefined) return undefined
    const key = scopes.join(' ')
    const cached = this.#cached.get(key)
    if (cached !== undefined && this.#options.now() < cached.expiresAt) return cached.header
    let fetching = this.#fetching.get(key)
    if (fetching === undefined) {
      fetching = this.#fetch(this.#challenge, scopes).finally(() => this.#fetching.delete(key))
      this.#fetching.set(key, fetching)
    }
    const token = await fetching
    this.#cached.set(key, token)
    return token.header
  }

  /**
   * The registry answered 401.
   * @param used the field Authorization of that request
   * @returns whether another try can succeed
   */
  challenged(field: string | undefined, scopes: readonly Scope[], used: string | undefined): boolean {
    const challenge = parseChallenge(field ?? '')
    if (challenge === undefined) return false
    this.#challenge = challenge
    const key = scopes.join(' ')
    if (this.#cached.get(key)?.header === used) this.#cached.delete(key)
    return true
  }

  async #fetch(challenge: Challenge, scopes: readonly Scope[]): Promise<CachedToken> {
    const { origin, credential, now } = this.#options
    const basic =
      credential && `Basic ${Buffer.from(`${credential.username}:${credential.password}`).toString('base64')}`
    if (challenge.scheme === 'basic') {
      if (basic === undefined) throw refused(origin, 'wants a login, and the auth file has none for it')
      return { header: basic, expiresAt: Infinity }
    }
    const realm = this.#realmOf(challenge, credential !== undefined)
    if (challenge.service !== undefined) realm.searchParams.set('service', challenge.service)
    for (const scope of scopes) realm.searchParams.append('scope', scope)
    const { status, body } = await this.#options.get(realm, basic)
    if (status === 401 || status === 403) throw refused(origin, `answered ${status} to a login`)
    if (status === 429) throw new RegistryFailure('limited', `${origin.host} limits logins: 429`)
    if (status !== 200)
      throw new RegistryFailure('transient', `${origin.host} gives no token: it answered ${status}`)
    const { token, lifeSeconds } = tokenIn(body, now(), origin)
    const lifeMs = lifeSeconds * 1000
    return { header: `Bearer ${token}`, expiresAt: now() + Math.max(lifeMs - safetyMs, lifeMs / 2) }
  }

  /** Attack: a realm on another host would get the password. Without a password there is nothing to steal. */
  #realmOf(challenge: Challenge, isLogin: boolean): URL {
    const { origin } = this.#options
    try {
      const realm = URL.parse(challenge.realm ?? '')
      if (!isLogin && realm?.protocol === 'https:') return realm
      return realmOf(challenge, origin)
    } catch (error) {
      throw new RegistryFailure('broken', `${origin.host} names a login page that is not its own`, error)
    }
  }
}

const refused = (origin: URL, what: string): RegistryFailure =>
  new RegistryFailure('refused', `${origin.host} ${what}`)

const tokenIn = (body: string, now: number, origin: URL): ReturnType<typeof parseToken> => {
  try {
    return parseToken(body, now)
  } catch (error) {
    throw new RegistryFailure('transient', `${origin.host} gives no token in its answer`, error)
  }
}
