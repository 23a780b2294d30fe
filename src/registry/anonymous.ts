/**
 * Those who show nothing, where `--allow-anonymous` lets them be somebody: `system:anonymous` in `system:unauthenticated`, as the
 * API server calls them, decided by RBAC like anyone. @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/
 *
 * The ping still answers 401 and the challenge: clients learn from it where to log in, and those who have a credential show it
 * there. Those who have none get a token of ours for nothing, which opens what showing nothing opens, and no more.
 */
import { decodeJwt, jwtVerify } from 'jose'
import type { ClusterIdentity } from '../access/identity.ts'
import type { Authenticate } from './authentication.ts'
import type { Challenge } from './credential.ts'
import type { Denied } from './denied.ts'
import { mint } from './mint.ts'
import { loginCommand } from './refused-login.ts'
import type { Keys } from './signing-keys.ts'

export interface Anonymous {
  /** Knows our tokens for nothing; who shows nothing at all is told to log in. */
  readonly recognize: (authenticate: Authenticate) => Authenticate
  /** Who shows nothing at all is anonymous. */
  readonly admit: (authenticate: Authenticate) => Authenticate
  readonly mint: () => Promise<{ token: string; expiresInSeconds: number }>
  /** A refusal is the challenge: a client that has a credential, and has not shown it, shows it then. */
  readonly denied: (denied: Denied) => Denied
}

export interface AnonymousOptions {
  readonly keys: Keys
  readonly issuer: string
  readonly challenge: Challenge
  /** As people type it: `quay-proxy.ci.openshift.org`. */
  readonly host: string
}

const username = 'system:anonymous'

export const anonymousIdentity: ClusterIdentity = {
  kind: 'cluster',
  // Of others it is a hash, in base64.
  key: username,
  user: { username, groups: ['system:unauthenticated'], extra: {} },
}

const validitySeconds = 300
export const createAnonymous = ({ keys, issuer, challenge, host }: AnonymousOptions): Anonymous => {
  // Attack: a token for nothing shown as a robot's. Each has keys of its own, and an audience that the other is not for.
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
    denied: (denied) => (asker, wanted, namespace) =>
      asker === username
        ? challenge.unauthorized(`${wanted} is not open to everybody; log in first: ${loginCommand(host)}`)
        : denied(asker, wanted, namespace),
  }
}

const claimsAudience = (token: string, audience: string): boolean => {
  try {
    return decodeJwt(token).aud === audience
  } catch {
    // Not a JWT.
    return false
  }
}
