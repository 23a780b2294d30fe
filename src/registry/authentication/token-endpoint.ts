/**
 * The realm, /v2/auth: a login for a bearer token. By GET with Basic, as most clients do, and by POST of a form, as
 * containerd does first.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 * @see https://distribution.github.io/distribution/spec/auth/oauth/
 *
 * It authenticates, and decides nothing: no client shows people what a realm answers with 403, and `podman login` asks for no
 * scope. A cluster token is handed back as it is: nothing to sign, nothing to steal, and every request is decided anew.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../../oci/errors.ts'
import type { Anonymous } from './anonymous.ts'
import type { Authenticate, Authenticated } from './authentication.ts'
import { parseAuthorization, parseUserInfo, type Challenge, type Credential } from './credential.ts'
import { beforeDeadline } from '../decision-deadline.ts'
import type { RobotTokens } from './robot-login.ts'

export interface TokenOptions {
  readonly authenticate: Authenticate
  readonly challenge: Challenge
  readonly robotTokens: Pick<RobotTokens, 'mint'>
  /** Where `authenticate` lets those in who show nothing. */
  readonly anonymous?: Pick<Anonymous, 'mint'> | undefined
  /** Milliseconds since the epoch at which a bearer token ends by its own word; undefined where it does not say. */
  readonly expiryOf: (bearerToken: string) => number | undefined
  readonly now?: () => number
}

/** Told to clients of tokens that do not say when they end; each renewal is a cached review. */
const defaultLifeSeconds = 3600
/** containers/image and docker use a token to the last second they were told, and never ask again on a 401. */
const marginSeconds = 30

export const tokenHandlers = (options: TokenOptions) => {
  const { authenticate } = options
  const answer = async (request: FastifyRequest, reply: FastifyReply, credential: Credential) => {
    const authenticated = await beforeDeadline(request, authenticate(credential, request.client.address))
    request.identity = authenticated.identity
    const { token, expiresInSeconds } = await tokenFor(authenticated, options)
    // Some clients read `token`, some `access_token`, containerd's POST the latter only. No `issued_at`: all clients then
    // count from their own clock. No `refresh_token`: docker would drop the password for it.
    const body = { token, access_token: token, expires_in: expiresInSeconds }
    return await reply
      .headers({ 'content-type': 'application/json', 'cache-control': 'no-store' })
      .send(Buffer.from(JSON.stringify(body)))
  }
  return {
    get: async (request: FastifyRequest, reply: FastifyReply) =>
      await answer(request, reply, parseAuthorization(request.headers.authorization)),
    post: async (request: FastifyRequest, reply: FastifyReply) =>
      await answer(request, reply, formCredential(request, options.challenge)),
  }
}

const tokenFor = async ({ identity, bearerToken }: Authenticated, options: TokenOptions) => {
  if (identity.kind === 'robot' && bearerToken === undefined)
    return await options.robotTokens.mint(identity.user.username)
  if (bearerToken === undefined) {
    if (options.anonymous === undefined) throw new Error('who shows nothing is anonymous or refused')
    return await options.anonymous.mint()
  }
  const { expiryOf, now = Date.now } = options
  const expiresAt = expiryOf(bearerToken)
  const remaining =
    expiresAt === undefined ? Infinity : Math.floor((expiresAt - now()) / 1000) - marginSeconds
  return { token: bearerToken, expiresInSeconds: Math.max(1, Math.min(defaultLifeSeconds, remaining)) }
}

/** Whatever is wrong with the form is a 400 or a 401: then containerd tries GET, and at nothing else it does. */
const formCredential = (request: FastifyRequest, challenge: Challenge): Credential => {
  if (request.headers.authorization !== undefined) return parseAuthorization(request.headers.authorization)
  const form = (request.body ?? {}) as Readonly<Record<string, unknown>>
  const { grant_type: grantType, username, password } = form
  if (grantType === 'refresh_token')
    throw challenge.unauthorized(
      'this registry gives no refresh tokens; log in again with your token as the password',
    )
  if (grantType !== 'password' || typeof username !== 'string' || typeof password !== 'string')
    throw new RegistryError(
      'UNSUPPORTED',
      'expected a form with grant_type=password, username and password, each once',
      {
        status: 400,
      },
    )
  return parseUserInfo(`${username}:${password}`)
}
