/**
 * What the stages of a request report, as counts of the metrics. The stages know nothing of metrics and their labels.
 */
import type { Metrics } from './metrics.ts'
import type { PartHealth } from './part-states.ts'
import type { ShedReason } from './shed-reason.ts'

type LabelsOf<Name extends 'cacheHits' | 'decisions' | 'reviews'> = Parameters<Metrics[Name]['inc']>[0]

interface Decided extends Pick<LabelsOf<'decisions'>, 'source'> {
  /** `none` for a refusal. */
  readonly rule: Exclude<LabelsOf<'decisions'>['rule'], 'denied'> | 'none'
}

interface Reviewed extends LabelsOf<'reviews'> {
  readonly source: 'live' | LabelsOf<'cacheHits'>['source']
}

type Health = Pick<PartHealth, 'note'>

export const createRequestObservers = ({ decisions, streamsInFlight, shed }: Metrics) => ({
  observe: ({ rule, source }: Decided, { kind }: Pick<LabelsOf<'decisions'>, 'kind'>) =>
    decisions.inc({ rule: rule === 'none' ? 'denied' : rule, source, kind }),
  observeStreams: (change: 1 | -1) => streamsInFlight.inc(change),
  observeShed: (reason: ShedReason) => shed.inc({ reason }),
})

/** @param health of the API server */
export const createReviewObserver =
  ({ reviews, cacheHits }: Metrics, health: Health) =>
  ({ kind, outcome, source }: Reviewed): void => {
    if (source === 'live') {
      reviews.inc({ kind, outcome })
      health.note(outcome === 'failed' ? 'failed' : 'answered')
    } else cacheHits.inc({ cache: kind, outcome, source })
  }

/** @param health of upstream */
export const createUpstreamObserver =
  ({ upstreamRequests }: Metrics, health: Health) =>
  (labels: { readonly kind: string; readonly status: number | 'failed' }): void => {
    upstreamRequests.inc(labels)
    health.note(labels.status === 'failed' || labels.status >= 500 ? 'failed' : 'answered')
  }
