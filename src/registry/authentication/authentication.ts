/**
 * Credential -> identity, or 401 and the challenge. The hook runs on every request below /v2/, and the realm calls the same.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import type { onRequestAsyncHookHandler } from 'fastify'
import type { Identity } from '../../access/identity.ts'
import type { TokenRefusal } from '../../access/token-refusal.ts'
import { createGuessLimit, type GuessLimit } from './guess-limit.ts'
import { loginCommand, refusedLogin } from './refused-login.ts'
import { parseAuthorization, type Challenge, type Credential } from './credential.ts'
import { beforeDeadline } from '../decision-deadline.ts'
import { robotIdentity, type RobotTokens } from './robot-login.ts'

export interface Authenticated {
  readonly identity: Identity
  /** The bearer token it was shown by; undefined for the robot's password. */
  readonly bearerToken: string | undefined
  /** The same identity for the same credential, or undefined where it has to be found out anew. Asks nobody. */
  readonly again?: () => Identity | undefined
}

/**
 * @param client the address it was shown from
 * @throws {RegistryError} UNAUTHORIZED with the challenge; UNAVAILABLE where the cluster cannot be asked; TOOMANYREQUESTS where
 *   the address has shown too much that the cluster refused
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
  /** The same list for as long as the credentials are the same. */
  readonly robotCredentials: () => readonly RobotCredential[]
  readonly robotTokens: Pick<RobotTokens, 'verify'>
  /** As people type it: `quay-proxy.ci.openshift.org`. */
  readonly host: string
  readonly limitGuesses?: GuessLimit
}

export const createAuthenticate = (options: AuthenticationOptions): Authenticate => {
  const { challenge, reviewToken, robotCredentials, robotTokens, host } = options
  const { limitGuesses = createGuessLimit() } = options
  const howToLogIn = loginCommand(host)

  /** What is no credential of a robot's stays none until a robot is given another. */
  const reviewed = ({ identity, again }: Reviewed, robots: readonly RobotCredential[]) =>
    again === undefined
      ? { identity }
      : { identity, again: () => (robotCredentials() === robots ? again() : undefined) }

  /**
   * One answer, whether the name is wrong or the password: whoever guesses learns neither. A right one never comes here, whatever
   * others of its address have guessed.
   */
  const wrongRobot = (client: string) => {
    limitGuesses(client)
    return challenge.unauthorized(
      'the user name or the password of the robot is not right; ask for the current pull secret',
      { reason: "not a robot's user name and password" },
    )
  }

  const bearer = async (
    token: string,
    client: string,
    robotsAtFirst: readonly RobotCredential[],
  ): Promise<Authenticated> => {
    const robot = await robotTokens.verify(token)
    if (robot === 'invalid')
      throw challenge.invalidToken(
        `the login of the robot is not valid, or has expired; log in to ${host} again`,
      )
    if (robot !== undefined) return { identity: robot, bearerToken: token }
    const review = await reviewToken(token, client)
    if (review.authenticated) return { ...reviewed(review, robotsAtFirst), bearerToken: token }
    const { message, forLog } = refusedLogin(review.refusal, host)
    throw challenge.invalidToken(message, forLog)
  }

  return async (credential, client) => {
    if (credential.kind === 'none') throw challenge.unauthorized(`log in first: ${howToLogIn}`)
    if (credential.kind === 'malformed')
      throw challenge.unauthorized(
        `the login cannot be read: ${credential.reason}; log in again: ${howToLogIn}`,
        { reason: credential.reason },
      )
    const robots = robotCredentials()
    // Each is compared, to the last: how long it takes does not tell which one it is.
    const isPassword = robots.filter(({ password }) => isEqual(credential.token, password)).length > 0
    if (credential.kind === 'bearer' && !isPassword) return await bearer(credential.token, client, robots)
    if (credential.kind === 'bearer') throw wrongRobot(client)
    const [robot] = robots.filter(({ username, password }) =>
      isEqual(credential.userInfo, `${username}:${password}`),
    )
    if (robot !== undefined) return { identity: robotIdentity(robot.username), bearerToken: undefined }
    // A robot's password, under a mistyped name or mistyped itself, is upstream's secret: the cluster is not shown it as a token.
    if (isPassword || isForRobot(credential, robots)) throw wrongRobot(client)
    return await bearer(credential.token, client, robots)
  }
}

/**
 * Whether a login is meant for a robot: by the form of its name alone (`openshift+ci_read_only`), so that neither the answer nor its
 * time tells which robots there are. A token of the cluster is one, whatever the name beside it.
 */
const isForRobot = (
  { username, token }: { readonly username: string; readonly token: string },
  robots: readonly RobotCredential[],
): boolean => {
  const isNamed = username.includes('+') || robots.some((robot) => robot.username === username)
  return isNamed && !clusterTokenPattern.test(token)
}
const clusterTokenPattern = /^(?:sha256~[\w-]{43}|eyJ[\w-]*\.[\w-]+\.[\w-]*)$/

/** In time that depends on neither: hashes have one length, and are compared to their end. */
const isEqual = (shown: string, expected: string): boolean =>
  timingSafeEqual(createHash('sha256').update(shown).digest(), createHash('sha256').update(expected).digest())

/**
 * Sets `request.identity`. A pull shows the same header on its connection again and again: who that is is remembered beside the
 * connection, so that only the first of them is parsed and hashed. Whether it still holds is looked up for each all the same.
 *
 * Attack: a map by header would keep tokens in memory for longer than they are in use. A connection holds the one it was shown
 * last, and goes with it. Behind a router one connection carries many clients: the whole header is compared, every time.
 */
export const authenticationHook = (authenticate: Authenticate): onRequestAsyncHookHandler => {
  const shown = new WeakMap<Socket, { readonly header: string; readonly again: () => Identity | undefined }>()
  return async (request) => {
    const { socket } = request.raw
    const header = request.headers.authorization
    const last = shown.get(socket)
    const known = last !== undefined && last.header === header ? last.again() : undefined
    if (known !== undefined) {
      request.identity = known
      return
    }
    const credential = parseAuthorization(header)
    const { identity, again } = await beforeDeadline(
      request,
      authenticate(credential, request.client.address),
    )
    if (again !== undefined && header !== undefined) shown.set(socket, { header, again })
    request.identity = identity
  }
}
