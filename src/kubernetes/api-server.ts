/**
 * Sends reviews to the API server of app.ci, with a deadline and a circuit breaker for each kind of review.
 *
 * It uses the kubeconfig of client-node, but not its generated API classes: they accept any JSON as a review, quote a broken review in the
 * error, and lose keys of `extra`.
 */
import type { V1NonResourceAttributes, V1ResourceAttributes } from '@kubernetes/client-node'
import type { UserInfo } from '../access/identity.ts'
import { createCircuitBreaker } from '../concurrency/circuit-breaker.ts'
import { createApiClient } from './api-client.ts'
import { asUnavailable, isTimeout, reviewText } from './api-failures.ts'
import { readAccessReview, readTokenReview, type AccessAnswer, type TokenAnswer } from './review-answer.ts'
import type { Credentials } from './kubeconfig.ts'
import type { Tracing } from '../tracing/tracing.ts'

export interface TokenReviewSpec {
  readonly token: string
  /** The audiences of the API server itself, unless given. */
  readonly audiences?: readonly string[]
}

export interface AccessReviewSpec extends Partial<Omit<UserInfo, 'username'>> {
  /** A review needs a user, or groups. */
  readonly user?: string
  /** One of the two. */
  readonly resourceAttributes?: Readonly<V1ResourceAttributes>
  readonly nonResourceAttributes?: Readonly<V1NonResourceAttributes>
}

/** @throws {RegistryError} UNAVAILABLE; a `ReviewShed` if the load is too high */
export interface ApiServer {
  readonly reviewToken: (spec: TokenReviewSpec) => Promise<TokenAnswer>
  readonly reviewAccess: (spec: AccessReviewSpec) => Promise<AccessAnswer>
  /** True once the API server has answered a review. */
  readonly reached: () => boolean
  readonly close: () => Promise<void>
}

export interface ApiServerOptions {
  readonly kubeConfig: Credentials
  /** Milliseconds for one review, its retry included. Two reviews and a margin stay below the decision deadline of 4.5 s. */
  readonly timeoutMs?: number
  readonly tracing?: Tracing | undefined
}

interface ReviewKind<Spec, Answer> {
  readonly path: string
  readonly kind: string
  readonly apiVersion: string
  readonly read: (status: number, body: string) => Answer
  /** The part that no log line and no message may contain. */
  readonly secretOf: (spec: Spec) => string
}

const tokenReview: ReviewKind<TokenReviewSpec, TokenAnswer> = {
  path: '/apis/authentication.k8s.io/v1/tokenreviews',
  kind: 'TokenReview',
  apiVersion: 'authentication.k8s.io/v1',
  read: readTokenReview,
  secretOf: ({ token }) => token,
}
const accessReview: ReviewKind<AccessReviewSpec, AccessAnswer> = {
  path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
  kind: 'SubjectAccessReview',
  apiVersion: 'authorization.k8s.io/v1',
  read: readAccessReview,
  secretOf: () => '',
}

export const createApiServer = ({ kubeConfig, timeoutMs = 2000, tracing }: ApiServerOptions): ApiServer => {
  const client = createApiClient({ kubeConfig, timeoutMs, tracing })
  let reached = false

  /** Each kind has a circuit breaker of its own: a webhook behind one kind may hang while the other is answered. */
  const createSend = <Spec, Answer>({ path, kind, apiVersion, read, secretOf }: ReviewKind<Spec, Answer>) => {
    // One timeout opens the circuit, because the next review would take the whole time as well.
    const breaker = createCircuitBreaker({
      isTransient: isTimeout,
      refuse: () => new Error('it did not answer a moment ago'),
    })
    return async (spec: Spec): Promise<Answer> => {
      const body = JSON.stringify({ apiVersion, kind, spec })
      try {
        const reply = await breaker(async () => await client.post(path, body))
        const answer = read(reply.status, reviewText(reply, secretOf(spec)))
        reached = true
        return answer
      } catch (error) {
        throw asUnavailable(error)
      }
    }
  }

  return {
    reviewToken: createSend(tokenReview),
    reviewAccess: createSend(accessReview),
    reached: () => reached,
    close: client.close,
  }
}
