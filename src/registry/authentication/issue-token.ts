/**
 * Bearer tokens that the proxy signs itself, with its newest key: for clients that the cluster cannot review.
 */
import { SignJWT } from 'jose'
import type { Keys } from './signing-keys.ts'

export interface MintOptions {
  readonly keys: Keys
  readonly issuer: string
  readonly audience: string
  readonly subject: string
  /** The announced lifetime; the token lives a little longer. */
  readonly validitySeconds: number
}

/** Clients use a token up to the last second of the announced lifetime, and do not request a new one after a 401. */
const leewaySeconds = 60

export const mint = async (options: MintOptions): Promise<{ token: string; expiresInSeconds: number }> => {
  const { keys, issuer, audience, subject, validitySeconds } = options
  const [key = new Uint8Array()] = keys()
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime(`${validitySeconds + leewaySeconds}s`)
    .sign(key)
  return { token, expiresInSeconds: validitySeconds }
}
