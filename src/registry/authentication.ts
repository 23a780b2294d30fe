/**
 * Credential -> identity, or 401 and the challenge. The hook runs on every request below /v2/, and the realm calls the same.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { onRequestAsyncHookHandler } from 'fastify'
import type { Identity } from '../access/identity.ts'
import { parseAuthorization, type Challenge, type Credential } from './credential.ts'
import { beforeDeadline } from './deadline.ts'
import { robotIdentity, type RobotTokens } from './robot-tokens.ts'

export interface Authenticated {
  readonly identity: Identity
  /** The bearer token it was shown by; undefined for the robot's password. */
  readonly bearerToken: string | undefined
}

/**
 * @param client the address it was shown from
 * @throws {RegistryError} UNAUTHORIZED with the challenge; UNAVAILABLE where the cluster cannot be asked; TOOMANYREQUESTS where
 *   the address has shown too much that the cluster refused
 */
export type Authenticate = (credential: Credential, client: string) => Promise<Authenticated>

export interface AuthenticationOptions {
  readonly challenge: Challenge
  readonly reviewToken: (
    bearerToken: string,
    client: string,
  ) => Promise<{ authenticated: true; identity: Identity } | { authenticated: false; reason: string }>
  readonly robotCredential: () => { username: string; password: string }
  readonly robotTokens: Pick<RobotTokens, 'verify'>
  /** As people type it: `quay-proxy.ci.openshift.org`. */
  readonly host: string
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, once authentication has run. */
    identity: Identity | null
  }
}

export const createAuthenticate = (options: AuthenticationOptions): Authenticate => {
  const { challenge, reviewToken, robotCredential, robotTokens, host } = options
  const howToLogIn = `podman login -u=$(oc whoami) -p=$(oc whoami -t) ${host}`

  const bearer = async (token: string, client: string): Promise<Authenticated> => {
    const robot = await robotTokens.verify(token)
    if (robot === 'invalid')
      throw challenge.invalidToken(
        `the login of the robot is not valid, or has expired; log in to ${host} again`,
      )
    if (robot !== undefined) return { identity: robot, bearerToken: token }
    const review = await reviewToken(token, client)
    if (review.authenticated) return { identity: review.identity, bearerToken: token }
    throw challenge.invalidToken(
      `the app.ci cluster does not accept your token (expired, deleted, or of another cluster); log in again: oc login, then ${howToLogIn}`,
    )
  }

  return async (credential, client) => {
    if (credential.kind === 'none') throw challenge.unauthorized(`log in first: ${howToLogIn}`)
    if (credential.kind === 'malformed')
      throw challenge.unauthorized(`the login is not of the form user:token; log in again: ${howToLogIn}`)
    const { username, password } = robotCredential()
    const isPassword = isEqual(credential.token, password)
    if (credential.kind === 'bearer' && !isPassword) return await bearer(credential.token, client)
    if (credential.kind === 'basic' && isEqual(credential.userInfo, `${username}:${password}`))
      return { identity: robotIdentity(username), bearerToken: undefined }
    // The robot's password, under a mistyped name or mistyped itself, is upstream's secret: the cluster is not shown it as a token.
    if (credential.kind === 'bearer' || isPassword || credential.username === username)
      throw challenge.unauthorized(
        `the user name or the password of the robot ${username} is not right; ask for the current pull secret`,
      )
    return await bearer(credential.token, client)
  }
}

/** In time that depends on neither: hashes have one length, and are compared to their end. */
const isEqual = (shown: string, expected: string): boolean =>
  timingSafeEqual(createHash('sha256').update(shown).digest(), createHash('sha256').update(expected).digest())

/** Sets `request.identity`. */
export const authenticationHook =
  (authenticate: Authenticate): onRequestAsyncHookHandler =>
  async (request) => {
    const credential = parseAuthorization(request.headers.authorization)
    request.identity = (await beforeDeadline(request, authenticate(credential, request.ip))).identity
  }
