/**
 * The tokens that we mint ourselves, for holders of the robot's credential: no cluster could review them.
 */
import { decodeJwt, jwtVerify } from 'jose'
import type { RobotIdentity } from '../access/identity.ts'
import { mint } from './mint.ts'

export interface RobotTokens {
  readonly mint: (username: string) => Promise<{ token: string; expiresInSeconds: number }>
  /** Undefined for a token that is not ours; `invalid` for one that claims to be, and is forged or expired. */
  readonly verify: (token: string) => Promise<RobotIdentity | 'invalid' | undefined>
}

export interface RobotTokensOptions {
  /** The signing key first, then those that are still honoured. */
  readonly keys: () => readonly Uint8Array[]
  readonly issuer: string
  readonly validitySeconds: number
}

export const createRobotTokens = ({ keys, issuer, validitySeconds }: RobotTokensOptions): RobotTokens => ({
  mint: async (username) =>
    await mint({ keys, issuer, audience: issuer, subject: username, validitySeconds }),
  verify: async (token) => {
    if (!claimsIssuer(token, issuer)) return undefined
    for (const key of keys()) {
      const username = await subjectOf(token, key, issuer)
      if (username !== undefined) return robotIdentity(username)
    }
    return 'invalid'
  },
})

export const robotIdentity = (username: string): RobotIdentity => ({
  kind: 'robot',
  user: { username, groups: [], extra: {} },
})

/** A cluster token is signed by the cluster's own issuer: what names us as issuer need not, and must not, be sent to it. */
const claimsIssuer = (token: string, issuer: string): boolean => {
  try {
    return decodeJwt(token).iss === issuer
  } catch {
    // Not a JWT: a session token of the cluster's OAuth server.
    return false
  }
}

// Attack: `alg: none`, or another algorithm that would read the key differently. One algorithm is accepted.
const subjectOf = async (token: string, key: Uint8Array, issuer: string): Promise<string | undefined> =>
  await jwtVerify(token, key, {
    algorithms: ['HS256'],
    issuer,
    audience: issuer,
    requiredClaims: ['exp', 'sub'],
  }).then(
    ({ payload }) => payload.sub,
    () => undefined,
  )
