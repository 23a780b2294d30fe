/**
 * Bearer tokens that the proxy signs for holders of a robot's credential, which the cluster cannot review.
 *
 * Revocation: a token is valid while its robot is in the files with the same password, and while the signing secret is in its file. All
 * replicas read the same files, so all give the same answer.
 */
import { createHmac } from 'node:crypto'
import { decodeJwt, jwtVerify, type JWTPayload } from 'jose'
import type { RobotIdentity } from '../../access/identity.ts'
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { mint } from './issue-token.ts'
import type { Keys } from './signing-keys.ts'

export interface RobotTokens {
  /** @throws {Error} if the identity is no robot of ours */
  readonly mint: (username: string) => Promise<{ token: string; expiresInSeconds: number }>
  /** Undefined for a token of another issuer; `invalid` for a token in our name that is forged, expired or revoked. */
  readonly verify: (token: string) => Promise<RobotIdentity | 'invalid' | undefined>
}

export interface RobotTokensOptions {
  readonly keys: Keys
  /** The current credentials. */
  readonly robots: () => readonly RobotCredential[]
  readonly issuer: string
  readonly validitySeconds: number
}

export const createRobotTokens = (options: RobotTokensOptions): RobotTokens => {
  const { keys, robots, issuer, validitySeconds } = options
  const keysOf = (robot: RobotCredential) => keys().map((key) => loginKey(key, robot))
  const robotOf = (username: string | undefined) => robots().find((robot) => robot.username === username)
  return {
    mint: async (username) => {
      const robot = robotOf(username)
      if (robot === undefined) throw new Error('there is no robot of that name')
      const audience = issuer
      return await mint({ keys: () => keysOf(robot), issuer, audience, subject: username, validitySeconds })
    },
    verify: async (token) => {
      const claims = unverifiedClaims(token)
      // The cluster signs its tokens as another issuer, so a token in our name is never sent to it.
      if (claims?.iss !== issuer) return undefined
      const robot = robotOf(claims.sub)
      if (robot === undefined) return 'invalid'
      for (const key of keysOf(robot))
        if (await isGenuine(token, key, issuer, robot)) return robotIdentity(robot.username)
      return 'invalid'
    },
  }
}

export const robotIdentity = (username: string): RobotIdentity => ({
  kind: 'robot',
  user: { username, groups: [], extra: {} },
})

/**
 * A keyed hash of the credential is part of the signing key, so a token ends with the password. Attack: a stolen token secret. Without
 * the robot's password it forges no robot token.
 */
const loginKey = (key: Uint8Array, { username, password }: RobotCredential): Uint8Array =>
  createHmac('sha256', key)
    .update(JSON.stringify([username, password]))
    .digest()

const unverifiedClaims = (token: string): JWTPayload | undefined => {
  try {
    return decodeJwt(token)
  } catch {
    // The token is no JWT: a session token of the cluster's OAuth server.
    return undefined
  }
}

// Attack: `alg: none`, or another algorithm that reads the key in another way. Only one algorithm is accepted.
const isGenuine = async (token: string, key: Uint8Array, issuer: string, { username }: RobotCredential) =>
  await jwtVerify(token, key, {
    algorithms: ['HS256'],
    issuer,
    audience: issuer,
    subject: username,
    requiredClaims: ['exp'],
  }).then(
    () => true,
    () => false,
  )
