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
  const what =
    by === 'form'
      ? `your token cannot be one that the app.ci cluster accepts: ${reason}`
      : `the app.ci cluster does not accept your token (${likely(refusal)})`
  return {
    message: `${what}; ${nextStep(unverifiedClaims.sub, advice)}`,
    forLog,
  }
}

/** The message of the API server names its own components, which means nothing to people. */
const likely = ({ reason, unverifiedClaims: { iss, aud } }: TokenRefusal): string => {
  if (reason.includes('audience'))
    return aud === undefined ? 'it is meant for another audience' : `it is meant for another audience: ${aud}`
  if (reason.includes('expired')) return 'it has expired'
  return `expired, deleted, or of another cluster${iss === undefined ? '' : `: it says that it is of ${iss}`}`
}

/** The login command for this kind of identity, by the unverified claims of the token. */
const nextStep = (sub: string | undefined, { host, again }: LoginAdvice): string => {
  const account = serviceAccountOf(sub ?? '')
  if (account === undefined) return `log in again: ${again}`
  const { namespace, name } = account
  return `log in again: podman login -u=${name} -p=$(oc create token ${name} -n ${namespace}) ${host}`
}
