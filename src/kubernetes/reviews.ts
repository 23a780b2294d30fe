/**
 * TokenReviews and SubjectAccessReviews of app.ci, composed: the client of the API server, a queue for each kind of review, the limit
 * on failed logins, and the caches.
 */
import type { AccessReviews, PathReviews } from '../access/reviews.ts'
import { clusterKindOf } from '../access/identity.ts'
import { createApiServer, type ApiServer } from './api-server.ts'
import { createFailedLoginLimit, type Admission, type ChargeKind, type Limit } from './failed-login-limit.ts'
import type { Credentials } from './kubeconfig.ts'
import { createReviewQueue } from './review-queue.ts'
import type { Source } from './review-cache.ts'
import { createAccessReviewer, type AccessOutcome } from './subject-access-review.ts'
import type { TokenFormat } from './token-form.ts'
import { noTracing, type Tracing } from '../tracing/tracing.ts'
import { createTokenReviewer, type ReviewToken, type TokenOutcome } from './token-review.ts'

export interface ReviewsOptions {
  readonly kubeConfig: Credentials
  /** Audiences accepted in addition to the API server's own. */
  readonly tokenAudiences: readonly string[]
  readonly tokenFormat: TokenFormat
  /** Milliseconds, as the next three. */
  readonly identityTtlMs: number
  readonly allowTtlMs: number
  readonly denyTtlMs: number
  /** For cached answers while the API server is unavailable. */
  readonly graceMs: number
  /** Called for every refused review that was charged here, so that replicas can count together. */
  readonly onCharge: (address: string, kind: ChargeKind) => void
  readonly observe: ReviewObservers
  readonly tracing?: Tracing | undefined
}

export type ReviewKind = 'TokenReview' | 'SubjectAccessReview'
export type ReviewOutcome = TokenOutcome | AccessOutcome
export type ReviewQueueName = ReviewKind | 'SubjectAccessReview of system:anonymous'

export interface ReviewObservers {
  readonly review: (review: { kind: ReviewKind; outcome: ReviewOutcome; source: Source }) => void
  /** Called with +1 when a review is sent and with -1 when it has ended. */
  readonly inFlight: (queue: ReviewQueueName, change: 1 | -1) => void
  /** Called for each review that found no turn in its queue. */
  readonly shed: (queue: ReviewQueueName) => void
  /** Called when the API server has answered a review, or could not. */
  readonly sent: (kind: ReviewKind, seconds: number) => void
  readonly loginLimited: (limit: Limit) => void
}

export interface Reviews {
  /** Without queue and cache: for the warm-up and for readiness. */
  readonly apiServer: ApiServer
  readonly reviewToken: ReviewToken
  readonly accessReviews: AccessReviews & PathReviews
  /** Applies a charge of another replica. */
  readonly charge: Admission['charge']
}

/** The API server has a few hundred slots for all its clients: more reviews would wait there instead of here. */
const maxInFlight = 64
/** Attack: a client without a login asks for as many names as it can invent. Its reviews must not delay those of other users. */
const maxAnonymousInFlight = 8

export const createReviews = (options: ReviewsOptions): Reviews => {
  const { kubeConfig, allowTtlMs, denyTtlMs, graceMs, onCharge, observe, tracing = noTracing } = options
  const apiServer = createApiServer({ kubeConfig, tracing })
  const timed = createTimed(observe)
  const admission = createFailedLoginLimit({ observeLimited: observe.loginLimited, onCharge })
  const queueOf = createQueues(observe)
  const tokens = queueOf('TokenReview')
  const access = queueOf('SubjectAccessReview')
  const anonymousAccess = queueOf('SubjectAccessReview of system:anonymous', maxAnonymousInFlight)
  return {
    apiServer,
    charge: admission.charge,
    reviewToken: createTokenReviewer({
      send: tracing.stage(
        'TokenReview',
        async (spec, turn) =>
          await tokens(turn, async () => await timed('TokenReview', apiServer.reviewToken(spec))),
      ),
      admit: admission.admit,
      audiences: options.tokenAudiences,
      format: options.tokenFormat,
      identityTtlMs: options.identityTtlMs,
      graceMs,
      observe: observe.review,
    }),
    accessReviews: createAccessReviewer({
      send: tracing.stage('SubjectAccessReview', async (spec, requester) => {
        const queue = clusterKindOf(requester) === 'anonymous' ? anonymousAccess : access
        return await queue(
          { requester },
          async () => await timed('SubjectAccessReview', apiServer.reviewAccess(spec)),
        )
      }),
      allowTtlMs,
      denyTtlMs,
      graceMs,
      observe: observe.review,
    }),
  }
}

const createTimed =
  ({ sent }: ReviewObservers) =>
  async <Answer>(kind: ReviewKind, answer: Promise<Answer>): Promise<Answer> => {
    const since = performance.now()
    try {
      return await answer
    } finally {
      sent(kind, (performance.now() - since) / 1000)
    }
  }

const createQueues =
  ({ inFlight, shed }: ReviewObservers) =>
  (name: ReviewQueueName, max = maxInFlight) =>
    createReviewQueue({
      max,
      maxQueued: 256,
      maxWaitMs: 1000,
      observeInFlight: (change) => inFlight(name, change),
      observeShed: () => shed(name),
    })
