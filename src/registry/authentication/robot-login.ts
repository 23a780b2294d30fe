/**
 * The tokens that we mint ourselves, for holders of the robot's credential: no cluster could review them.
 *
 * Revoked is revoked: a token is good for as long as its robot is in the files with the password that it was minted for, and the secret
 * that signed it is in its file. All of that is in files, so every replica says the same.
 */
import { createHmac } from 'node:crypto'
import { decodeJwt, jwtVerify, type JWTPayload } from 'jose'
import type { RobotIdentity } from '../../access/identity.ts'
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { mint } from './issue-token.ts'
import type { Keys } from './signing-keys.ts'

export interface RobotTokens {
  /** @throws {Error} for who is none of the robots */
  readonly mint: (username: string) => Promise<{ token: string; expiresInSeconds: number }>
  /** Undefined for a token that is not ours; `invalid` for one that claims to be, and is forged, expired or revoked. */
  readonly verify: (token: string) => Promise<RobotIdentity | 'invalid' | undefined>
}

export interface RobotTokensOptions {
  readonly keys: Keys
  /** Those that there are now. */
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
      // A cluster token is signed by the cluster's own issuer: what names us as issuer need not, and must not, be sent to it.
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
 * A keyed hash of the credential, as the key of its logins: they end with the password. Attack: who has guessed or read the token secret
 * forges no login of a robot whose password they do not have as well.
 */
const loginKey = (key: Uint8Array, { username, password }: RobotCredential): Uint8Array =>
  createHmac('sha256', key)
    .update(JSON.stringify([username, password]))
    .digest()

const unverifiedClaims = (token: string): JWTPayload | undefined => {
  try {
    return decodeJwt(token)
  } catch {
    // Not a JWT: a session token of the cluster's OAuth server.
    return undefined
  }
}

// Attack: `alg: none`, or another algorithm that would read the key differently. One algorithm is accepted.
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
