/**
 * Composes the reviews of app.ci with the configuration, the metrics, and the failed logins of other replicas.
 */
import type { Config } from '../config/config.ts'
import type { Credentials } from '../kubernetes/kubeconfig.ts'
import { createReviews, type ReviewObservers, type Reviews } from '../kubernetes/reviews.ts'
import { reviewsWithoutCluster } from '../kubernetes/without-cluster.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import type { PartHealth } from '../telemetry/part-states.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createReviewObserver } from '../telemetry/observers.ts'
import type { Tracing } from '../tracing/tracing.ts'

export interface ComposeReviewsOptions {
  readonly config: Config
  /** Undefined for a proxy of robots. */
  readonly kubeConfig: Credentials | undefined
  readonly shared: Pick<SharedState, 'failedLogins'>
  readonly metrics: Metrics
  readonly health: Pick<PartHealth, 'note'>
  readonly tracing: Tracing
}

export const composeReviews = ({
  config,
  kubeConfig,
  shared,
  metrics,
  health,
  tracing,
}: ComposeReviewsOptions): Reviews => {
  if (kubeConfig === undefined) return reviewsWithoutCluster()
  const reviews = createReviews({
    kubeConfig,
    tokenAudiences: config.tokenAudiences,
    tokenFormat: config.tokenFormat,
    identityTtlMs: config.identityTtlMs,
    allowTtlMs: config.allowTtlMs,
    denyTtlMs: config.denyTtlMs,
    graceMs: config.authorizationGraceMs,
    onCharge: (address, kind) => shared.failedLogins.publish({ address, kind }),
    observe: observersOf(metrics, health),
    tracing,
  })
  shared.failedLogins.onCharge(({ address, kind }) => {
    if (kind === 'unknown-address' || kind === 'known-address') reviews.charge(String(address), kind)
  })
  return reviews
}

const observersOf = (metrics: Metrics, health: ComposeReviewsOptions['health']): ReviewObservers => ({
  review: createReviewObserver(metrics, health),
  inFlight: (queue, change) => metrics.reviewsInFlight.inc({ queue }, change),
  shed: (queue) => metrics.reviewsShed.inc({ queue }),
  sent: (kind, seconds) => metrics.reviewSeconds.observe({ kind }, seconds),
  loginLimited: (reason) => metrics.loginsLimited.inc({ reason }),
})
