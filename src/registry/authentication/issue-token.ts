/**
 * A bearer token of our own, signed with the newest key: for those whom no cluster could review.
 */
import { SignJWT } from 'jose'
import type { Keys } from './signing-keys.ts'

export interface MintOptions {
  readonly keys: Keys
  readonly issuer: string
  readonly audience: string
  readonly subject: string
  /** As the client is told; the token itself lives a little longer. */
  readonly validitySeconds: number
}

/** Clients keep using a token up to the very end of the life they were told, and do not ask for a new one on a 401. */
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
