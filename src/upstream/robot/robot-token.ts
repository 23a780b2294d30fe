/**
 * The robot's token, cached until shortly before it expires: an Authorization header for the upstream origin, which `client/client.ts` adds. One
 * login at a time.
 */
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { UpstreamRateLimited } from '../errors.ts'
import type { Retry } from '../resilience/retry.ts'
import { logIn, type CachedToken, type LoginOptions } from './upstream-login.ts'

export interface Robot {
  /** The Authorization header for upstream; undefined if upstream requires none. @throws {RegistryError} UNAVAILABLE */
  readonly authorization: () => Promise<string | undefined>
  /** Upstream refused this result of `authorization`: the next call fetches a new token. A newer token than `refused` is kept. */
  readonly invalidate: (refused: string | undefined) => void
  /** The stored credential changed: tokens of the old one are not used any more. */
  readonly reset: () => void
  /** Milliseconds since the epoch: when the cached token was issued. Undefined without a token. */
  readonly issuedAt: () => number | undefined
  /** True once a login ended, with whatever outcome. */
  readonly attempted: () => boolean
}

export interface RobotOptions extends LoginOptions {
  readonly credential: () => RobotCredential
  /** A failed login fails every request that waits for it, so it is retried. No retry unless given. */
  readonly retry?: Retry
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/**
 * Quay answers more than about three token requests at a time with 429. So a refused robot does not try again for every client, and a rate
 * limited one waits for as long as upstream says.
 */
const failureLifeMs = 2000
const failureLifeOf = (error: unknown): number =>
  Math.max(failureLifeMs, error instanceof UpstreamRateLimited ? (error.retryAfterSeconds ?? 0) * 1000 : 0)

export const createRobotToken = (options: RobotOptions): Robot => new RobotToken(options)

interface Failure {
  readonly until: number
  readonly error: unknown
  readonly credential: RobotCredential
}

class RobotToken implements Robot {
  readonly #options: RobotOptions
  readonly #now: () => number
  #cached: CachedToken | undefined
  #login: Promise<CachedToken> | undefined
  #failure: Failure | undefined
  #wasAttempted = false
  #issuedAt = 0

  constructor(options: RobotOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  async authorization(): Promise<string | undefined> {
    const cached = this.#cached
    if (cached === undefined || this.#now() >= cached.expiresAt) return (await this.#fetch()).header
    // The old token is still good: no request waits for the new one, and a failure shows when the old one expires.
    if (this.#now() >= cached.refreshAt) this.#fetch().catch(() => undefined)
    return cached.header
  }

  invalidate(refused: string | undefined): void {
    if (this.#cached?.header === refused) this.#cached = undefined
  }

  reset(): void {
    this.#cached = undefined
    this.#login = undefined
  }

  issuedAt(): number | undefined {
    // A credential that is sent with each request is no token.
    return this.#cached === undefined || this.#cached.expiresAt === Infinity ? undefined : this.#issuedAt
  }

  attempted(): boolean {
    return this.#wasAttempted
  }

  async #fetch(): Promise<CachedToken> {
    const credential = this.#options.credential()
    const failure = this.#failure
    if (failure !== undefined && this.#now() < failure.until && failure.credential === credential)
      throw failure.error
    this.#login ??= this.#startLogin(credential)
    return await this.#login
  }

  #startLogin(credential: RobotCredential): Promise<CachedToken> {
    const { retry = once } = this.#options
    // If the credential was replaced during the login, only the callers that wait for the login get its result.
    const isCurrent = () => this.#login === login
    const login: Promise<CachedToken> = retry(async () => await logIn(this.#options, credential, this.#now))
      .then(
        (token) => {
          if (!isCurrent()) return token
          this.#failure = undefined
          this.#cached = token
          this.#issuedAt = this.#now()
          return token
        },
        (error: unknown) => {
          this.#failure = { until: this.#now() + failureLifeOf(error), error, credential }
          throw error
        },
      )
      .finally(() => {
        if (isCurrent()) this.#login = undefined
        this.#wasAttempted = true
      })
    return login
  }
}

const once: Retry = async (attempt) => await attempt()
