/**
 * The Prometheus metrics of requests, decisions and reviews, on a given Registry.
 */
import { Gauge, type Registry } from 'prom-client'
import { closedFastCounterOn, fastCounterOn, fastTimerOn } from './fast-counters.ts'
import { closedCounterOn, counterOn } from './instruments.ts'
import { shedReasons } from './shed-reason.ts'

export type Metrics = ReturnType<typeof createMetrics>

/** Seconds. A cached manifest takes a millisecond, a blob of a gigabyte at the speed of a slow client takes minutes. */
const durationBuckets = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 15, 60, 300]

export const createMetrics = (registry: Registry) => ({
  registry,
  ...requestMetrics(registry),
  ...decisionMetrics(registry),
  ...reviewMetrics(registry),
  upstreamRequests: counterOn(registry)(
    'upstream_requests_total',
    'Requests to upstream, including each redirect, by kind and status.',
    ['kind', 'status'],
  ),
  robotRefused: counterOn(registry)(
    'robot_refused_total',
    'Refusals of a robot credential by upstream. If it is the only robot, nobody can pull. Alert on any increase.',
  ),
  reloadFailures: closedCounterOn(registry)(
    'reload_failures_total',
    'Failures to reload a changed file; the previous content stays in use. Alert on any increase.',
    { file: ['robot', 'token secret', 'tls', 'shared state password', 's3 credentials', 'log level'] },
  ),
})

const requestMetrics = (registry: Registry) => ({
  requests: fastCounterOn(registry)('requests_total', 'Answered requests, by route, method and status.', [
    'route',
    'method',
    'status',
  ]),
  requestSeconds: fastTimerOn(registry)(
    'request_duration_seconds',
    'Time from a request to the end of its response, by route.',
    ['route'],
    durationBuckets,
  ),
  sentBytes: fastCounterOn(registry)(
    'sent_bytes_total',
    'Bytes sent to clients, including response heads, by route.',
    ['route'],
  ),
  streamsInFlight: new Gauge({
    name: 'quay_proxy_streams_in_flight',
    help: 'Blobs that are being streamed to clients.',
    registers: [registry],
  }),
  shed: closedCounterOn(registry)(
    'shed_total',
    'Requests that were refused and connections that were closed to limit the load, by reason. Alert on a rate.',
    { reason: shedReasons },
  ),
})

const decisionMetrics = (registry: Registry) => ({
  decisions: closedFastCounterOn(registry)(
    'decisions_total',
    'Access decisions, by the rule that allowed them, the source of the review, and the kind of identity.',
    {
      rule: ['robot', 'qci-wide', 'image-puller', 'service-account', 'denied'],
      source: ['live', 'cached', 'grace', 'none'],
      kind: ['user', 'service-account', 'anonymous', 'robot'],
    },
    ({ rule, source, kind }) => {
      if (rule === 'robot' || kind === 'robot') return rule === kind && source === 'none'
      // The rule of audit mode alone.
      if (rule === 'service-account') return false
      return source === 'grace' ? rule !== 'denied' : source !== 'none' || rule === 'denied'
    },
  ),
})

const reviewQueues = [
  'TokenReview',
  'SubjectAccessReview',
  'SubjectAccessReview of system:anonymous',
] as const
const reviewOutcomes = ['authenticated', 'refused', 'allowed', 'denied', 'failed'] as const

/** Whether a review of this kind can have the outcome. */
const hasOutcome = (kind: string, outcome: string): boolean =>
  outcome === 'failed' || (kind === 'TokenReview') === ['authenticated', 'refused'].includes(outcome)

/** Seconds. The deadline of a review is 2 s. */
const reviewBuckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2]

const reviewSecondsOn = (registry: Registry) => {
  const timer = fastTimerOn(registry)(
    'review_duration_seconds',
    'Time from sending a review to the answer of the API server, or to its failure, by kind.',
    ['kind'],
    reviewBuckets,
  )
  for (const kind of ['TokenReview', 'SubjectAccessReview']) timer.start({ kind })
  return timer
}

const reviewMetrics = (registry: Registry) => {
  const closedCounter = closedCounterOn(registry)
  const reviewsInFlight = new Gauge({
    name: 'quay_proxy_reviews_in_flight',
    help: 'Reviews without an answer yet, by queue.',
    labelNames: ['queue'],
    registers: [registry],
  })
  for (const queue of reviewQueues) reviewsInFlight.set({ queue }, 0)
  return {
    reviews: closedCounter(
      'reviews_total',
      'Reviews that were sent to the API server, by kind and outcome.',
      { kind: ['TokenReview', 'SubjectAccessReview'], outcome: reviewOutcomes },
      ({ kind, outcome }) => hasOutcome(kind, outcome),
    ),
    reviewsInFlight,
    reviewSeconds: reviewSecondsOn(registry),
    reviewsShed: closedCounter(
      'reviews_shed_total',
      'Reviews that were not sent because too many were in flight, by queue; the client gets 503.',
      { queue: reviewQueues },
    ),
    loginsLimited: closedCounter(
      'logins_limited_total',
      'Unknown tokens that were not reviewed, by reason: too many refused tokens of the address or of everybody (429), or too many waiting (503).',
      { reason: ['address', 'everybody', 'waiting'] },
    ),
    cacheHits: closedFastCounterOn(registry)(
      'review_cache_hits_total',
      'Reviews that were answered from the cache, by cache, outcome and source; grace: the API server is unavailable.',
      {
        cache: ['TokenReview', 'SubjectAccessReview'],
        outcome: reviewOutcomes,
        source: ['cached', 'grace'],
      },
      ({ cache, outcome, source }) =>
        hasOutcome(cache, outcome) &&
        (source === 'cached' || outcome === 'authenticated' || outcome === 'allowed') &&
        outcome !== 'failed',
    ),
  }
}
