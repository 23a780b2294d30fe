/**
 * The connection to app.ci's API server: how long we wait, and what its failures mean to a client.
 */
import {
  ApiException,
  AuthenticationV1Api,
  AuthorizationV1Api,
  Observable,
  type ConfigurationOptions,
  type KubeConfig,
  type RequestContext,
  type V1SubjectAccessReviewSpec,
  type V1SubjectAccessReviewStatus,
  type V1TokenReviewSpec,
  type V1TokenReviewStatus,
} from '@kubernetes/client-node'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBreaker } from '../breaker.ts'
import { unavailable, type RegistryError } from '../errors.ts'

/** The two questions we ask, each answered with the review's status. @throws {RegistryError} UNAVAILABLE */
export interface ApiServer {
  readonly reviewToken: (spec: V1TokenReviewSpec) => Promise<V1TokenReviewStatus>
  readonly reviewAccess: (spec: V1SubjectAccessReviewSpec) => Promise<V1SubjectAccessReviewStatus>
  /** True once the API server has answered anything but an outage. */
  readonly reached: () => boolean
  readonly close: () => Promise<void>
}

export interface ApiServerOptions {
  readonly kubeConfig: KubeConfig
  /** Milliseconds for one question, its retry included. Two of them and a margin stay below the deadline of 4.5 s. */
  readonly timeoutMs?: number
}

const retryAfterMs = 100
/** How long one connection pool is kept: then a renewed CA bundle or client certificate takes effect. */
const poolLifeMs = 10 * 60_000

export const createApiServer = ({ kubeConfig, timeoutMs = 2000 }: ApiServerOptions): ApiServer => {
  const authentication = kubeConfig.makeApiClient(AuthenticationV1Api)
  const authorization = kubeConfig.makeApiClient(AuthorizationV1Api)
  const pool = createPool()
  let reached = false

  const askOnce = async <Review>(
    call: (options: ConfigurationOptions) => Promise<Review>,
  ): Promise<Review> => {
    const signal = AbortSignal.timeout(timeoutMs)
    const options = {
      middleware: [requestMiddleware(pool, signal)],
      middlewareMergeStrategy: 'append' as const,
    }
    try {
      return await call(options)
    } catch (error) {
      if (!isTemporary(error) || signal.aborted) throw error
      // A kept-alive connection that the server closed fails once, on a review as on anything else.
      await sleep(retryAfterMs, undefined, { signal })
      return await call(options)
    }
  }

  /** Each kind of question by itself: webhooks behind the one may hang while the other is answered. */
  const createAsk = (): typeof askOnce => {
    // One is enough: it took the whole of its time, and the next would again.
    const breaker = createBreaker({
      isTrouble: isTimeout,
      refuse: () => new Error('it did not answer a moment ago'),
    })
    return async (call) => {
      try {
        return await breaker(async () => {
          const review = await askOnce(call)
          reached = true
          return review
        })
      } catch (error) {
        throw outage(error)
      }
    }
  }
  const askAboutToken = createAsk()
  const askAboutAccess = createAsk()

  return {
    reviewToken: async (spec) => {
      const review = await askAboutToken((options) =>
        authentication.createTokenReview({ body: { spec } }, options),
      )
      return review.status ?? {}
    },
    reviewAccess: async (spec) => {
      const review = await askAboutAccess((options) =>
        authorization.createSubjectAccessReview({ body: { spec } }, options),
      )
      return review.status ?? { allowed: false }
    },
    reached: () => reached,
    close: async () => pool.close(),
  }
}

type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>

/** client-node builds a connection pool for every request; keeping one saves a TLS handshake per review. */
const createPool = () => {
  let kept: Dispatcher | undefined
  let keptSince = 0
  return {
    adopt: (offered: Dispatcher | undefined): Dispatcher | undefined => {
      if (offered === undefined || (kept !== undefined && Date.now() - keptSince < poolLifeMs)) return kept
      void kept?.close()
      kept = offered
      keptSince = Date.now()
      return kept
    },
    close: async () => {
      await kept?.destroy()
    },
  }
}

type Middleware = NonNullable<NonNullable<ConfigurationOptions['middleware']>[number]>

const requestMiddleware = (pool: ReturnType<typeof createPool>, signal: AbortSignal): Middleware => ({
  pre: (context) => {
    context.setSignal(signal)
    const dispatcher = pool.adopt(context.getDispatcher())
    if (dispatcher !== undefined) context.setDispatcher(dispatcher)
    return observableOf(context)
  },
  post: (context) => observableOf(context),
})

const observableOf = <Value>(value: Value): Observable<Value> => new Observable(Promise.resolve(value))

/** The deadline's own error, or that of a wait which it ended. */
const isTimeout = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')

const isTemporary = (error: unknown): boolean =>
  !(error instanceof ApiException) || error.code === 429 || error.code >= 500

/**
 * Whatever keeps the API server from answering is 503 to the client, never 401: a 401 sends people off to log in again,
 * and makes some clients give up for good. A refusal of our own credential is an outage too, and says so in the log.
 */
const outage = (error: unknown): RegistryError => {
  if (!(error instanceof ApiException))
    return unavailable('the cluster that decides about access does not answer; try again in a moment', error)
  const reason =
    error.code === 401 || error.code === 403
      ? 'the cluster that decides about access refuses the proxy itself; its administrators have to look'
      : 'the cluster that decides about access cannot answer now; try again in a moment'
  return unavailable(reason, new Error(`API server answered ${error.code}`))
}
