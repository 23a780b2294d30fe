/**
 * What an operator can see from outside: Prometheus instruments on a Registry that is handed in.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

/** Blobs of a gigabyte at a slow client's speed take minutes; a cached manifest takes a millisecond. */
const durationBuckets = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 15, 60, 300]

export const createMetrics = (registry: Registry) => {
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({ name: `quay_proxy_${name}`, help, labelNames: [...labelNames], registers })
  return {
    registry,
    requests: counter('requests_total', 'Requests answered, by route, method and status.', [
      'route',
      'method',
      'status',
    ]),
    requestSeconds: new Histogram({
      name: 'quay_proxy_request_duration_seconds',
      help: 'Time from the request to the end of its answer, by route.',
      labelNames: ['route'],
      buckets: durationBuckets,
      registers,
    }),
    sentBytes: counter('sent_bytes_total', 'Bytes sent to clients, heads included, by route.', ['route']),
    streamsInFlight: new Gauge({
      name: 'quay_proxy_streams_in_flight',
      help: 'Blobs that are being streamed.',
      registers,
    }),
    decisions: counter(
      'decisions_total',
      'Access decisions, by what opened and whether the cluster was asked.',
      ['rule', 'source'],
    ),
    reviews: counter('reviews_total', 'Reviews that the API server was asked for, by kind and outcome.', [
      'kind',
      'outcome',
    ]),
    cacheHits: counter(
      'cache_hits_total',
      'Reviews answered from memory, by cache and outcome; grace: API server away.',
      ['cache', 'outcome', 'source'],
    ),
    upstreamRequests: counter(
      'upstream_requests_total',
      'Requests to upstream, every hop, by kind and status.',
      ['kind', 'status'],
    ),
    robotRefused: counter(
      'robot_refused_total',
      'Upstream refused the robot: nobody can pull. Alert on any increase.',
    ),
    reloadFailures: counter(
      'reload_failures_total',
      'Files that changed and could not be used; the old content stays.',
      ['file'],
    ),
  }
}
