/**
 * The reviews of app.ci, composed: who may ask for how many, and what is remembered.
 */
import type { Config } from '../config/config.ts'
import { createFailedLoginLimit } from '../kubernetes/failed-login-limit.ts'
import type { ApiServer } from '../kubernetes/api-server.ts'
import { createReviewQueue } from '../kubernetes/review-queue.ts'
import { createAccessReviewer } from '../kubernetes/subject-access-review.ts'
import { createTokenReviewer } from '../kubernetes/token-review.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { anonymousIdentity } from '../registry/authentication/anonymous.ts'
import type { SharedState } from '../shared-state/shared-state.ts'

export interface ReviewParts {
  readonly config: Config
  readonly apiServer: Pick<ApiServer, 'reviewToken' | 'reviewAccess'>
  readonly shared: Pick<SharedState, 'failedLogins'>
  readonly metrics: Metrics
}

export const composeReviews = ({ config, apiServer, shared, metrics }: ReviewParts) => {
  const observe =
    (kind: string) =>
    ({ outcome, source }: { outcome: string; source: string }) => {
      if (source === 'live') metrics.reviews.inc({ kind, outcome })
      else metrics.cacheHits.inc({ cache: kind, outcome, source })
    }
  const graceMs = config.authorizationGraceMs
  const tokens = queueOf('TokenReview', metrics)
  const access = queueOf('SubjectAccessReview', metrics)
  // Anybody may ask as nobody, for as many names as they can think of: that is not to be in the way of those who are known.
  const anonymousAccess = queueOf('SubjectAccessReview of system:anonymous', metrics, 8)
  const admission = createFailedLoginLimit({
    observeLimited: (limit) => metrics.loginsLimited.inc({ limit }),
    onCharge: (address, kind) => shared.failedLogins.publish({ address, kind }),
  })
  shared.failedLogins.onCharge(({ address, kind }) => {
    if (kind === 'stranger' || kind === 'acquainted') admission.charge(String(address), kind)
  })
  const reviewToken = createTokenReviewer({
    ask: async (spec, turn) => await tokens(turn, async () => await apiServer.reviewToken(spec)),
    admit: admission.admit,
    audiences: config.tokenAudiences,
    format: config.tokenFormat,
    identityTtlMs: config.identityTtlMs,
    graceMs,
    observe: observe('TokenReview'),
  })
  const reviews = createAccessReviewer({
    ask: async (spec, requester) => {
      const queue = spec.user === anonymousIdentity.user.username ? anonymousAccess : access
      return await queue({ requester }, async () => await apiServer.reviewAccess(spec))
    },
    allowTtlMs: config.allowTtlMs,
    denyTtlMs: config.denyTtlMs,
    graceMs,
    observe: observe('SubjectAccessReview'),
  })
  return { reviewToken, reviews }
}

/** More would only wait at the API server instead of here: it has a few hundred places for all of its clients. */
const maxReviewsInFlight = 64

const queueOf = (lane: string, metrics: Metrics, max = maxReviewsInFlight) =>
  createReviewQueue({
    max,
    maxQueued: 256,
    maxWaitMs: 1000,
    observeInFlight: (change) => metrics.reviewsInFlight.inc({ lane }, change),
    observeShed: () => metrics.reviewsShed.inc({ lane }),
  })
