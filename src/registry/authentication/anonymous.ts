/**
 * Clients without a credential, with `--allow-anonymous`: they are `system:anonymous` in the group `system:unauthenticated`, as for the
 * API server, and RBAC decides. @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/
 *
 * The ping still answers 401 with the challenge. Clients learn from it where to log in, and send their credential there if they have one.
 * Clients without a credential get an anonymous token, which gives the same access as no token.
 */
import { decodeJwt, jwtVerify } from 'jose'
import type { ClusterIdentity } from '../../access/identity.ts'
import type { Authenticate } from './authentication.ts'
import type { Challenge } from './credential.ts'
import type { DenialMessage } from '../denial.ts'
import { mint } from './issue-token.ts'
import type { LoginAdvice } from './login-advice.ts'
import type { Keys } from './signing-keys.ts'

export interface Anonymous {
  /** Recognizes anonymous tokens; refuses requests without any token. */
  readonly recognize: (authenticate: Authenticate) => Authenticate
  /** Accepts requests without any token as anonymous. */
  readonly admit: (authenticate: Authenticate) => Authenticate
  readonly mint: () => Promise<{ token: string; expiresInSeconds: number }>
  /** The refusal of an anonymous client is the challenge, so that a client with a credential sends it. */
  readonly denied: (denied: DenialMessage) => DenialMessage
}

export interface AnonymousOptions {
  readonly keys: Keys
  readonly issuer: string
  readonly challenge: Challenge
  readonly advice: LoginAdvice
}

const username = 'system:anonymous'

export const anonymousIdentity: ClusterIdentity = {
  kind: 'anonymous',
  // The key of every other identity is a hash in base64, so none is equal to this one.
  key: username,
  user: { username, groups: ['system:unauthenticated'], extra: {} },
}

const validitySeconds = 300
export const createAnonymous = ({ keys, issuer, challenge, advice }: AnonymousOptions): Anonymous => {
  // Attack: an anonymous token presented as a robot token. Each purpose has its own keys and its own audience.
  const audience = `${issuer}/anonymous`

  const isGenuine = async (token: string): Promise<boolean> => {
    const options = { algorithms: ['HS256'], issuer, audience, subject: username, requiredClaims: ['exp'] }
    for (const key of keys()) {
      const verified = await jwtVerify(token, key, options).then(
        () => true,
        () => false,
      )
      if (verified) return true
    }
    return false
  }

  return {
    recognize: (authenticate) => async (credential, client) => {
      if (credential.kind !== 'bearer' || !claimsAudience(credential.token, audience))
        return await authenticate(credential, client)
      if (await isGenuine(credential.token))
        return { identity: anonymousIdentity, bearerToken: credential.token }
      throw challenge.invalidToken('the anonymous login has expired; ask for another one')
    },
    admit: (authenticate) => async (credential, client) =>
      credential.kind === 'none'
        ? { identity: anonymousIdentity, bearerToken: undefined }
        : await authenticate(credential, client),
    mint: async () => await mint({ keys, issuer, audience, subject: username, validitySeconds }),
    denied: (denied) => (refusal) =>
      refusal.identity.kind === 'anonymous'
        ? challenge.unauthorized(`${refusal.wanted} is not open to everybody; log in first: ${advice.first}`)
        : denied(refusal),
  }
}

const claimsAudience = (token: string, audience: string): boolean => {
  try {
    return decodeJwt(token).aud === audience
  } catch {
    // The token is no JWT.
    return false
  }
}
