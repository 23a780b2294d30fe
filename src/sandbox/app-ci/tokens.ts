/** The two kinds of token that app.ci knows: OAuth tokens of users, and JWTs of service accounts. */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  randomUUID,
  sign,
  verify,
} from 'node:crypto'
import type { UserInfo } from '../../access/identity.ts'

/** The API server's own audience: the default of a TokenReview, and the only one of an OAuth token. */
export const apiAudience = 'https://kubernetes.default.svc'

export interface UserTokenOptions {
  readonly username: string
  /** kube:admin has none. */
  readonly uid?: string
  readonly groups: readonly string[]
  /** OAuth scopes. Default: `['user:full']`. */
  readonly scopes?: readonly string[]
  /** Default: a day. */
  readonly expiresInSeconds?: number
}

export interface ServiceAccountTokenOptions {
  readonly namespace: string
  readonly name: string
  /** Default: an hour, as with `oc create token`. */
  readonly expiresInSeconds?: number
  /** Default: the API server's own. */
  readonly audiences?: readonly string[]
}

/** The result of the authenticators of the kube-apiserver for a token; `error` in their words. */
export type Authentication =
  | { readonly authenticated: true; readonly user: UserInfo; readonly audiences: readonly string[] }
  | { readonly authenticated: false; readonly error: string }

export interface Tokens {
  /** `sha256~` and 43 characters, as `oc whoami -t` shows it. */
  issueUserToken(options: UserTokenOptions): string
  /** An ES256 JWT with the claims of a bound token. */
  issueServiceAccountToken(options: ServiceAccountTokenOptions): string
  /** Revokes the token, as a logout or the deletion of the service account does. */
  revoke(token: string): void
  authenticate(token: string, audiences: readonly string[]): Authentication
}

interface UserToken {
  readonly user: UserInfo
  readonly expiresAt: number
}

interface Claims {
  readonly aud: readonly string[]
  readonly exp: number
  readonly jti: string
  readonly sub: string
  readonly 'kubernetes.io': {
    readonly namespace: string
    readonly serviceaccount: { readonly name: string; readonly uid: string }
  }
}

const refused = (why?: string): Authentication => ({
  authenticated: false,
  error: why === undefined ? 'invalid bearer token' : `[invalid bearer token, ${why}]`,
})

/** @param now milliseconds since the epoch */
export const createTokens = ({ now }: { readonly now: () => number }): Tokens => {
  const userTokens = new Map<string, UserToken>()
  const revoked = new Set<string>()
  const jwt = createJwt()
  return {
    issueUserToken: (options) => {
      const token = `sha256~${randomBytes(32).toString('base64url')}`
      const expiresAt = now() + (options.expiresInSeconds ?? 86_400) * 1000
      userTokens.set(token, { user: oauthUser(options), expiresAt })
      return token
    },
    issueServiceAccountToken: (options) => jwt.issue(serviceAccountClaims(options, Math.floor(now() / 1000))),
    revoke: (token) => {
      // Compares the id of the token, because base64url allows more than one spelling of the same signed token.
      revoked.add(jwt.open(token)?.jti ?? token)
    },
    authenticate: (token, audiences) => {
      const claims = jwt.open(token)
      if (claims !== undefined) return judgeClaims(claims, revoked.has(claims.jti), audiences, now())
      const found = userTokens.get(token)
      if (found === undefined || revoked.has(token)) return refused('token lookup failed')
      if (found.expiresAt <= now()) return refused('token is expired')
      // The OAuth server knows no audiences, so a review for others only is answered without asking it.
      if (!audiences.includes(apiAudience)) return refused()
      return { authenticated: true, user: found.user, audiences: [apiAudience] }
    },
  }
}

const oauthUser = ({ username, uid, groups, scopes = ['user:full'] }: UserTokenOptions): UserInfo => ({
  username,
  ...(uid === undefined ? {} : { uid }),
  groups: [...new Set([...groups, 'system:authenticated:oauth', 'system:authenticated'])],
  extra: { 'scopes.authorization.openshift.io': scopes },
})

const serviceAccountClaims = (options: ServiceAccountTokenOptions, issuedAt: number) => {
  const { namespace, name, expiresInSeconds = 3600, audiences = [apiAudience] } = options
  return {
    aud: audiences,
    exp: issuedAt + expiresInSeconds,
    iat: issuedAt,
    iss: apiAudience,
    jti: randomUUID(),
    'kubernetes.io': { namespace, serviceaccount: { name, uid: uidOf(`${namespace}/${name}`) } },
    nbf: issuedAt,
    sub: `system:serviceaccount:${namespace}:${name}`,
  } satisfies Claims & Record<string, unknown>
}

const uidOf = (name: string): string =>
  createHash('sha256')
    .update(name)
    .digest('hex')
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-8$4-$5')

const judgeClaims = (
  claims: Claims,
  revoked: boolean,
  asked: readonly string[],
  nowMs: number,
): Authentication => {
  if (claims.exp * 1000 <= nowMs) return refused('service account token has expired')
  const audiences = claims.aud.filter((audience) => asked.includes(audience))
  if (audiences.length === 0)
    return refused(`token audiences ${list(claims.aud)} is invalid for the target audiences ${list(asked)}`)
  if (revoked) return refused('service account token has been invalidated')
  const { namespace, serviceaccount } = claims['kubernetes.io']
  const user: UserInfo = {
    username: claims.sub,
    uid: serviceaccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`] },
  }
  return { authenticated: true, user, audiences }
}

const list = (values: readonly string[]): string =>
  `[${values.map((value) => JSON.stringify(value)).join(' ')}]`

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

// Node's own signatures rather than jose: these are synchronous, so a test can issue a token in an expression.
const createJwt = (): { issue(claims: Claims): string; open(token: string): Claims | undefined } => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKey = createPublicKey(privateKey)
  const kid = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url')
  const header = encode({ alg: 'ES256', kid })
  return {
    issue: (claims) => {
      const signed = `${header}.${encode(claims)}`
      const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      return `${signed}.${signature.toString('base64url')}`
    },
    open: (token) => {
      const [tokenHeader, payload = '', signature = '', ...rest] = token.split('.')
      // Accepts only our own header, byte for byte, so that `alg: none` and a foreign `kid` are refused before the signature is checked.
      if (tokenHeader !== header || rest.length > 0) return undefined
      const key = { key: publicKey, dsaEncoding: 'ieee-p1363' as const }
      const signed = Buffer.from(`${header}.${payload}`)
      if (!verify('sha256', signed, key, Buffer.from(signature, 'base64url'))) return undefined
      return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Claims
    },
  }
}
