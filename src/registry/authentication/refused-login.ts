/**
 * The reason of a refused login: the log gets all of it, the client gets the part that helps. Neither contains the token.
 */
import { serviceAccountOf } from '../../access/identity.ts'
import type { TokenRefusal } from '../../access/token-refusal.ts'
import type { LoginAdvice } from './login-advice.ts'

export interface RefusedLogin {
  readonly message: string
  readonly forLog: Readonly<Record<string, unknown>>
}

export const refusedLogin = (refusal: TokenRefusal, advice: LoginAdvice): RefusedLogin => {
  const { reason, by, tokenKind, unverifiedClaims } = refusal
  const forLog = { reason, by, tokenKind, unverifiedClaims }
  if (by === 'configuration') return { message: `${reason}: log in to ${advice.host} as the robot`, forLog }
  return {
    message: `${whatIsWrong(refusal)}; ${nextStep(unverifiedClaims.sub, advice)}`,
    forLog,
  }
}

const expiry = 'it expired at '

const whatIsWrong = (refusal: TokenRefusal): string => {
  const { reason, by } = refusal
  if (by !== 'form') return `the app.ci cluster does not accept your token (${likely(refusal)})`
  return reason.startsWith(expiry)
    ? `your token expired at ${reason.slice(expiry.length)}`
    : `your token cannot be one that the app.ci cluster accepts: ${reason}`
}

/** The message of the API server names its own components, which means nothing to people. */
const likely = ({ reason, tokenKind, unverifiedClaims: { iss, aud } }: TokenRefusal): string => {
  if (reason.includes('audience'))
    return aud === undefined ? 'it is meant for another audience' : `it is meant for another audience: ${aud}`
  if (reason.includes('expired')) return 'it has expired'
  if (tokenKind === 'opaque')
    return 'expired, deleted, or of another cluster; those of OpenShift are sha256~ and 43 characters, or a JWT, and yours is neither'
  return `expired, deleted, or of another cluster${iss === undefined ? '' : `: it says that it is of ${iss}`}`
}

/** The login command for this kind of identity, by the unverified claims of the token. */
const nextStep = (sub: string | undefined, { host, again, cluster }: LoginAdvice): string => {
  const account = serviceAccountOf(sub ?? '')
  if (account === undefined) return `log in again: ${again}`
  const { namespace, name } = account
  return `log in again: ${cluster}podman login -u=${name} -p=$(oc create token ${name} -n ${namespace} --duration=24h) ${host}`
}
