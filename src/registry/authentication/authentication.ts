/**
 * Credential -> identity, or 401 with the challenge. The stage runs for every request below /v2/; the realm calls the same function.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Identity } from '../../access/identity.ts'
import type { TokenRefusal } from '../../access/token-refusal.ts'
import { createGuessLimit, type GuessLimit } from './guess-limit.ts'
import type { LoginAdvice } from './login-advice.ts'
import { refusedLogin } from './refused-login.ts'
import { parseAuthorization, type Challenge, type Credential } from './credential.ts'
import { beforeDeadline } from '../decision-deadline.ts'
import type { Stage } from '../stage-hook.ts'
import { robotIdentity, type RobotTokens } from './robot-tokens.ts'

export interface Authenticated {
  readonly identity: Identity
  /** The bearer token of the credential; undefined for the password of a robot. */
  readonly bearerToken: string | undefined
  /** The cached identity of the same credential; undefined if the cache entry has expired. Sends no review. */
  readonly again?: () => Identity | undefined
}

/**
 * @param client the address of the client
 * @throws {RegistryError} UNAUTHORIZED with the challenge; UNAVAILABLE if the API server does not answer; TOOMANYREQUESTS after too many
 *   refused tokens from this address
 */
export type Authenticate = (credential: Credential, client: string) => Promise<Authenticated>

type Reviewed = Pick<Authenticated, 'identity' | 'again'>

interface RobotCredential {
  readonly username: string
  readonly password: string
}

export interface AuthenticationOptions {
  readonly challenge: Challenge
  readonly reviewToken: (
    bearerToken: string,
    client: string,
  ) => Promise<({ authenticated: true } & Reviewed) | { authenticated: false; refusal: TokenRefusal }>
  /** The same array until the credentials change. */
  readonly robotCredentials: () => readonly RobotCredential[]
  readonly robotTokens: Pick<RobotTokens, 'verify'>
  readonly advice: LoginAdvice
  readonly limitGuesses?: GuessLimit
}

export const createAuthenticate = (options: AuthenticationOptions): Authenticate => {
  const authenticator = new Authenticator(options)
  return async (credential, client) => await authenticator.authenticate(credential, client)
}

class Authenticator {
  readonly #options: AuthenticationOptions
  readonly #limitGuesses: GuessLimit

  constructor(options: AuthenticationOptions) {
    this.#options = options
    this.#limitGuesses = options.limitGuesses ?? createGuessLimit()
  }

  async authenticate(credential: Credential, client: string): Promise<Authenticated> {
    const { challenge, robotCredentials, advice } = this.#options
    if (credential.kind === 'none') throw challenge.unauthorized(`log in first: ${advice.first}`)
    if (credential.kind === 'malformed')
      throw challenge.unauthorized(
        `the login cannot be read: ${credential.reason}; log in again: ${advice.first}`,
        { reason: credential.reason },
      )
    const robots = robotCredentials()
    // Every credential is compared to its end, so that the time of the comparison does not tell which one matches.
    const isPassword = robots.filter(({ password }) => isEqual(credential.token, password)).length > 0
    if (credential.kind === 'basic') return await this.#basic(credential, client, { robots, isPassword })
    if (isPassword) throw this.#wrongRobot(client)
    return await this.#bearer(credential.token, client, robots)
  }

  async #basic(
    credential: Extract<Credential, { kind: 'basic' }>,
    client: string,
    { robots, isPassword }: { readonly robots: readonly RobotCredential[]; readonly isPassword: boolean },
  ): Promise<Authenticated> {
    const [robot] = robots.filter(({ username, password }) =>
      isEqual(credential.userInfo, `${username}:${password}`),
    )
    if (robot !== undefined) return { identity: robotIdentity(robot.username), bearerToken: undefined }
    // A mistyped robot login may contain upstream's secret: it is never sent to the API server as a token.
    if (isPassword || isForRobot(credential, robots)) throw this.#wrongRobot(client)
    return await this.#bearer(credential.token, client, robots)
  }

  async #bearer(token: string, client: string, robots: readonly RobotCredential[]): Promise<Authenticated> {
    const { challenge, reviewToken, robotTokens, advice } = this.#options
    const robot = await robotTokens.verify(token)
    if (robot === 'invalid')
      throw challenge.invalidToken(
        `the login of the robot is not valid, or has expired; log in to ${advice.host} again`,
      )
    if (robot !== undefined) return { identity: robot, bearerToken: token }
    const review = await reviewToken(token, client)
    if (review.authenticated) return { ...this.#reviewed(review, robots), bearerToken: token }
    // Attack: guessing a robot's password under another user name. No review limits the guesses of a proxy that sends none.
    if (review.refusal.by === 'configuration') this.#limitGuesses(client)
    const { message, forLog } = refusedLogin(review.refusal, advice)
    throw challenge.invalidToken(message, forLog)
  }

  /** A cached identity counts until the robots' credentials change: the same text may then be the password of a robot. */
  #reviewed({ identity, again }: Reviewed, robots: readonly RobotCredential[]): Reviewed {
    if (again === undefined) return { identity }
    return { identity, again: () => (this.#options.robotCredentials() === robots ? again() : undefined) }
  }

  /**
   * Attack: guessing. The answer is the same for a wrong name and for a wrong password. A right password is accepted before this point,
   * even if other clients of the same address have guessed.
   */
  #wrongRobot(client: string): Error {
    this.#limitGuesses(client)
    return this.#options.challenge.unauthorized(
      'the user name or the password of the robot is not right; ask for the current pull secret',
      { reason: "not a robot's user name and password" },
    )
  }
}

/**
 * A login is a robot's if its name looks like one (`openshift+ci_read_only`). Neither the answer nor its time tells which robots exist. A
 * token of the cluster is reviewed, whatever its user name.
 */
const isForRobot = (
  { username, token }: { readonly username: string; readonly token: string },
  robots: readonly RobotCredential[],
): boolean => {
  const isNamed = username.includes('+') || robots.some((robot) => robot.username === username)
  return isNamed && !clusterTokenPattern.test(token)
}
const clusterTokenPattern = /^(?:sha256~[\w-]{43}|eyJ[\w-]*\.[\w-]+\.[\w-]*)$/

/** Constant time: the hashes have equal length, and `timingSafeEqual` compares all of them. */
const isEqual = (shown: string, expected: string): boolean =>
  timingSafeEqual(createHash('sha256').update(shown).digest(), createHash('sha256').update(expected).digest())

/**
 * Sets `request.identity`. The requests of a pull repeat one header on one connection, so the last header of each connection is cached
 * with its identity: repeated headers are neither parsed nor hashed. Each request still checks that the identity has not expired.
 *
 * Attack: a cache by header would keep tokens in memory after their use. Here the cache ends with the connection. One connection of a
 * router carries many clients, so the whole header is compared for each request.
 */
export const authenticationStage = (authenticate: Authenticate): Stage => {
  const lastLogins = new WeakMap<
    Socket,
    { readonly header: string; readonly again: () => Identity | undefined }
  >()
  const review = async (request: FastifyRequest): Promise<void> => {
    const header = request.headers.authorization
    const authenticating = authenticate(parseAuthorization(header), request.client.address)
    const { identity, again } = await beforeDeadline(request, authenticating)
    if (again !== undefined && header !== undefined) lastLogins.set(request.raw.socket, { header, again })
    request.identity = identity
  }
  return (request) => {
    const last = lastLogins.get(request.raw.socket)
    const known = last?.header === request.headers.authorization ? last?.again() : undefined
    if (known === undefined) return review(request)
    request.identity = known
    return undefined
  }
}
