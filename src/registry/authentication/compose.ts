/**
 * The composition of authentication: cluster tokens, robot logins, anonymous clients, and the challenge for all others.
 */
import { createAnonymous } from './anonymous.ts'
import { createAuthenticate, type AuthenticationOptions } from './authentication.ts'
import { createChallenge } from './credential.ts'
import { createLoginAdvice } from './login-advice.ts'
import { createRobotTokens } from './robot-tokens.ts'
import type { RoutesOptions } from '../routes.ts'
import type { PurposeKeys } from './signing-keys.ts'

export interface LoginOptions extends Pick<AuthenticationOptions, 'reviewToken' | 'robotCredentials'> {
  /** The URL under which clients reach the proxy. */
  readonly exposed: URL
  readonly clusterUrl?: URL | undefined
  readonly keys: Pick<PurposeKeys, 'robotLogins' | 'anonymousLogins'>
  /** The validity of a robot token. */
  readonly validityMs: number
  readonly allowAnonymous: boolean
}

export const createLogin = (options: LoginOptions) => {
  const { exposed, keys, validityMs, allowAnonymous, reviewToken, robotCredentials } = options
  const { origin: issuer, host } = exposed
  const advice = createLoginAdvice({ host, clusterUrl: options.clusterUrl })
  const challenge = createChallenge(`${issuer}/v2/auth`, host)
  const robotTokens = createRobotTokens({
    keys: keys.robotLogins,
    robots: robotCredentials,
    issuer,
    validitySeconds: Math.floor(validityMs / 1000),
  })
  const authenticate = createAuthenticate({ challenge, reviewToken, robotTokens, robotCredentials, advice })
  const anonymous = allowAnonymous
    ? createAnonymous({ keys: keys.anonymousLogins, issuer, challenge, advice })
    : undefined
  return {
    challenge,
    robotTokens,
    anonymous,
    authenticate: anonymous?.recognize(authenticate) ?? authenticate,
  } satisfies Partial<RoutesOptions>
}
