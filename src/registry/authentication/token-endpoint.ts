/**
 * The realm, /v2/auth: exchanges a login for a bearer token. Most clients use GET with Basic; containerd tries POST with a form first.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 * @see https://distribution.github.io/distribution/spec/auth/oauth/
 *
 * The realm only authenticates, and does not decide access: no client shows the text of a 403 of the realm, and `podman login` requests no
 * scope. A cluster token is returned unchanged, so no signed token exists that could be stolen. Access is decided for each later request.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../../oci/errors.ts'
import type { Anonymous } from './anonymous.ts'
import type { Authenticate, Authenticated } from './authentication.ts'
import { parseAuthorization, parseUserInfo, type Challenge, type Credential } from './credential.ts'
import { beforeDeadline } from '../decision-deadline.ts'
import type { RobotTokens } from './robot-tokens.ts'

export interface TokenOptions {
  readonly authenticate: Authenticate
  readonly challenge: Challenge
  readonly robotTokens: Pick<RobotTokens, 'mint'>
  /** Given if `authenticate` accepts clients without a credential. */
  readonly anonymous?: Pick<Anonymous, 'mint'> | undefined
  /** Expiry of a bearer token by its own claim, in milliseconds since the epoch; undefined if it has none. */
  readonly expiryOf: (bearerToken: string) => number | undefined
  readonly now?: () => number
}

/** The announced lifetime of tokens without an expiry. Each renewal costs a cached review. */
const defaultLifeSeconds = 3600
/**
 * The announced lifetime of a token that could not be reviewed: the shortest that clients accept. @see
 * https://distribution.github.io/distribution/spec/auth/token/
 */
const unknownLifeSeconds = 60
/** containers/image and docker use a token up to the last announced second, and do not request a new one after a 401. */
const marginSeconds = 30

export const tokenHandlers = (options: TokenOptions) => {
  const answer = async (request: FastifyRequest, reply: FastifyReply, credential: Credential) => {
    const { token, expiresInSeconds } = await grantOf(request, credential, options)
    // Some clients read `token`, others `access_token`; containerd's POST reads only `access_token`. There is no `issued_at`, so that
    // clients count from their own clock. There is no `refresh_token`, because docker would drop the password for it.
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

interface Grant {
  readonly token: string
  readonly expiresInSeconds: number
}

const grantOf = async (
  request: FastifyRequest,
  credential: Credential,
  options: TokenOptions,
): Promise<Grant> => {
  try {
    const authenticating = options.authenticate(credential, request.client.address)
    const authenticated = await beforeDeadline(request, authenticating)
    request.identity = authenticated.identity
    return await tokenFor(authenticated, options)
  } catch (error) {
    // Nobody knows now whether the token is good. podman and skopeo hide the words of a realm that fails, and show those of the next request,
    // which fails by itself: the client gets its own token back, and it opens nothing.
    if (!(error instanceof RegistryError) || error.status < 500 || !('token' in credential)) throw error
    request.failure = error
    return { token: credential.token, expiresInSeconds: unknownLifeSeconds }
  }
}

const tokenFor = async ({ identity, bearerToken }: Authenticated, options: TokenOptions): Promise<Grant> => {
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

/** A wrong form gets 400 or 401, because only after these statuses containerd tries GET. */
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
