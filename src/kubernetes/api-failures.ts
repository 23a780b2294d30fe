/**
 * The meaning of a failed review: the operator gets the whole reason, a client always gets 503 and never 401. A 401 would make people log
 * in again, and makes some clients give up for good.
 */
import { unavailable, type RegistryError } from '../oci/errors.ts'
import { statusMessage } from './foreign-text.ts'
import { ReviewShed, reviewShed } from './review-shed.ts'
import { NotAReview } from './review-answer.ts'

export interface Reply {
  readonly status: number
  readonly retryAfter: string
  readonly text: string
}

/** The API server answered with an error status. */
class Refused extends Error {
  override readonly name = 'Refused'
  readonly isOurs: boolean
  constructor(message: string, isOurs: boolean) {
    super(message)
    this.isOurs = isOurs
  }
}

/** The text of a reply without an error status. @throws {ReviewShed | Refused} */
export const reviewText = ({ status, retryAfter, text }: Reply, secret: string): string => {
  if (status < 400) return text
  const said = new Error(`API server answered ${status}`)
  // The time that the API server names, if that is a number of seconds.
  if (status === 429) throw reviewShed(/^[1-9]\d{0,2}$/.test(retryAfter) ? Number(retryAfter) : 1, said)
  if (status !== 401 && status !== 403) throw new Refused(said.message, false)
  throw new Refused(
    `API server answered ${status}: ${statusMessage(text, secret)}; apply manifests/rbac/quay-proxy.yaml, and look at the credential of the proxy`,
    true,
  )
}

/** The error of a deadline, or of a wait that the deadline ended. */
export const isTimeout = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')

/** The error for the client, 503. The log has the cause: if the API server refused the proxy's own credential, it says so. */
export const asUnavailable = (error: unknown): RegistryError => {
  if (error instanceof ReviewShed) return error
  if (error instanceof Refused && error.isOurs)
    return unavailable(
      'the cluster that decides about access refuses the proxy itself; its administrators have to look',
      error,
    )
  if (error instanceof Refused || error instanceof NotAReview)
    return unavailable(
      'the cluster that decides about access cannot answer now; try again in a moment',
      error,
    )
  return unavailable('the cluster that decides about access does not answer; try again in a moment', error)
}
