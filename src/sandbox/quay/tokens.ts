/** The realm of the sandbox's quay: exchanges the credential of a robot for a JWT, and reads that JWT. */
import { randomBytes } from 'node:crypto'
import { SignJWT, jwtVerify } from 'jose'
import { htmlAnswer, jsonAnswer } from './answers.ts'
import type { Answer } from './answers.ts'
import type { Exchange } from './origin.ts'
import { quayError } from './errors.ts'

/** A robot account of the repository. `mayPull: false` is a robot without its permission; `mayPush` is one of a mirror. */
export interface Robot {
  readonly username: string
  readonly password: string
  readonly mayPull?: boolean
  readonly mayPush?: boolean
}

export interface QuayTokensOptions {
  readonly repository: string
  readonly lifetimeSeconds: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Called for each request, so that a rotation takes effect at once. */
  readonly robots: () => readonly Robot[]
}

export interface Grant {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
}

/** The meaning of a request's Authorization header. */
export type Bearer =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'token'; readonly username: string; readonly access: readonly Grant[] }

/** Source: quay auth/registry_jwt_auth.py and endpoints/v2/v2auth.py, SCOPE_REGEX: one scope, hence no space. */
const scopePattern = /^repository:(?<name>[\w./:-]+):(?<actions>(?:pull|push|\*)(?:,(?:pull|push|\*))*)$/

/** The realm: Basic robot credential to JWT, and back. */
export class QuayTokens {
  readonly #options: QuayTokensOptions
  readonly #key = randomBytes(32)

  constructor(options: QuayTokensOptions) {
    this.#options = options
  }

  /** GET /v2/auth. `service` becomes the audience without a check: with a wrong one, the token is refused later. */
  async issue({ method, url, headers }: Exchange): Promise<Answer> {
    if (method !== 'GET') return htmlAnswer(405, { allow: 'GET, OPTIONS' })
    const username = this.#robotOf(headers.authorization)
    if (username === null) return quayError('UNAUTHORIZED')
    const scopes = url.searchParams.getAll('scope').filter((scope) => scope !== '')
    const access: Grant[] = []
    for (const scope of scopes) {
      const name = scopePattern.exec(scope)?.groups?.['name']
      if (name === undefined) return quayError('INVALID_REQUEST')
      access.push({ type: 'repository', name, actions: this.#actionsOn(name, username) })
    }
    if (username === '' && access.length === 0) return quayError('UNAUTHORIZED')
    const token = await this.#sign(url.searchParams.get('service') ?? '', username, access)
    return jsonAnswer(200, { token }, { 'cache-control': 'no-store', connection: 'close' })
  }

  async read({ url, headers, fault }: Exchange): Promise<Bearer> {
    const { authorization } = headers
    if (authorization === undefined) return { kind: 'anonymous' }
    const token = /^Bearer (?<token>\S+)$/i.exec(authorization)?.groups?.['token']
    if (token === undefined) return { kind: 'invalid', reason: 'Invalid bearer token format' }
    if (fault.expire === true) return { kind: 'invalid', reason: 'Token has expired' }
    try {
      // quay tolerates 30 s of clock skew. This one tolerates none, so that a test can see a token of one second expire.
      const currentDate = new Date(this.#options.now())
      const { payload } = await jwtVerify<{ sub: string; access: Grant[] }>(token, this.#key, {
        audience: url.host,
        currentDate,
      })
      return { kind: 'token', username: payload.sub, access: payload.access }
    } catch {
      return { kind: 'invalid', reason: 'Invalid or expired token' }
    }
  }

  /** Empty without a credential, null for a wrong one. */
  #robotOf(authorization: string | undefined): string | null {
    if (authorization === undefined) return ''
    const [scheme = '', encoded = ''] = authorization.split(' ')
    const shown = Buffer.from(encoded, 'base64').toString()
    if (scheme.toLowerCase() !== 'basic') return null
    const robots = this.#options.robots()
    return robots.find(({ username, password }) => shown === `${username}:${password}`)?.username ?? null
  }

  #actionsOn(repository: string, username: string): readonly string[] {
    const robot = this.#options.robots().find((candidate) => candidate.username === username)
    const mayPull = robot !== undefined && (robot.mayPull ?? true)
    if (!mayPull || repository !== this.#options.repository) return []
    return robot.mayPush === true ? ['pull', 'push'] : ['pull']
  }

  #sign(service: string, username: string, access: readonly Grant[]): Promise<string> {
    const seconds = Math.floor(this.#options.now() / 1000)
    return new SignJWT({ access })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer('quay')
      .setAudience(service)
      .setSubject(username)
      .setIssuedAt(seconds)
      .setNotBefore(seconds)
      .setExpirationTime(seconds + this.#options.lifetimeSeconds)
      .sign(this.#key)
  }
}
