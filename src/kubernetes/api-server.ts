/**
 * The connection to app.ci's API server: how long we wait, and what its failures mean to a client.
 *
 * Of client-node it takes who we are and where the API server is. Its generated API classes are not used: they take any JSON for a
 * review, quote a broken one in the error, and lose keys of `extra`.
 */
import type { V1ResourceAttributes } from '@kubernetes/client-node'
import type { UserInfo } from '../access/identity.ts'
import { createCircuitBreaker } from '../concurrency/circuit-breaker.ts'
import { createApiClient } from './api-client.ts'
import { isTimeout, outage, reviewText } from './api-failures.ts'
import { readAccessReview, readTokenReview, type AccessAnswer, type TokenAnswer } from './review-answer.ts'
import type { Credentials } from './kubeconfig.ts'

export interface TokenQuestion {
  readonly token: string
  /** None: the API server's own. */
  readonly audiences?: readonly string[]
}

export interface AccessQuestion extends Partial<Omit<UserInfo, 'username'>> {
  /** One of user and groups there has to be. */
  readonly user?: string
  readonly resourceAttributes: Readonly<V1ResourceAttributes>
}

/** The two questions we ask. @throws {RegistryError} UNAVAILABLE: an `ReviewShed` where too much is asked, an outage otherwise */
export interface ApiServer {
  readonly reviewToken: (spec: TokenQuestion) => Promise<TokenAnswer>
  readonly reviewAccess: (spec: AccessQuestion) => Promise<AccessAnswer>
  /** True once the API server has answered a review. */
  readonly reached: () => boolean
  readonly close: () => Promise<void>
}

export interface ApiServerOptions {
  readonly kubeConfig: Credentials
  /** Milliseconds for one question, its retry included. Two of them and a margin stay below the deadline of 4.5 s. */
  readonly timeoutMs?: number
}

interface Kind<Spec, Answer> {
  readonly path: string
  readonly kind: string
  readonly apiVersion: string
  readonly read: (status: number, body: string) => Answer
  /** What must not show anywhere. */
  readonly secretOf: (spec: Spec) => string
}

const tokenReview: Kind<TokenQuestion, TokenAnswer> = {
  path: '/apis/authentication.k8s.io/v1/tokenreviews',
  kind: 'TokenReview',
  apiVersion: 'authentication.k8s.io/v1',
  read: readTokenReview,
  secretOf: ({ token }) => token,
}
const accessReview: Kind<AccessQuestion, AccessAnswer> = {
  path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
  kind: 'SubjectAccessReview',
  apiVersion: 'authorization.k8s.io/v1',
  read: readAccessReview,
  secretOf: () => '',
}

export const createApiServer = ({ kubeConfig, timeoutMs = 2000 }: ApiServerOptions): ApiServer => {
  const client = createApiClient({ kubeConfig, timeoutMs })
  let reached = false

  /** Each kind of question by itself: webhooks behind the one may hang while the other is answered. */
  const createAsk = <Spec, Answer>({ path, kind, apiVersion, read, secretOf }: Kind<Spec, Answer>) => {
    // One is enough: it took the whole of its time, and the next would again.
    const breaker = createCircuitBreaker({
      isTransient: isTimeout,
      refuse: () => new Error('it did not answer a moment ago'),
    })
    return async (spec: Spec): Promise<Answer> => {
      const body = JSON.stringify({ apiVersion, kind, spec })
      try {
        const reply = await breaker(async () => await client.ask(path, body))
        const answer = read(reply.status, reviewText(reply, secretOf(spec)))
        reached = true
        return answer
      } catch (error) {
        throw outage(error)
      }
    }
  }

  return {
    reviewToken: createAsk(tokenReview),
    reviewAccess: createAsk(accessReview),
    reached: () => reached,
    close: client.close,
  }
}
