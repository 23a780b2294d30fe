/**
 * What an operator can see from outside: Prometheus instruments on a Registry that is handed in.
 */
import { Gauge, type Registry } from 'prom-client'
import { fastCounterOn, fastTimerOn } from './fast-counters.ts'
import { counterOn, gaugeOn } from './instruments.ts'

export type Metrics = ReturnType<typeof createMetrics>

/** Blobs of a gigabyte at a slow client's speed take minutes; a cached manifest takes a millisecond. */
const durationBuckets = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 15, 60, 300]

export const createMetrics = (registry: Registry) => {
  const registers = [registry]
  const counter = counterOn(registry)
  const tally = fastCounterOn(registry)
  return {
    registry,
    requests: tally('requests_total', 'Requests answered, by route, method and status.', [
      'route',
      'method',
      'status',
    ]),
    requestSeconds: fastTimerOn(registry)(
      'request_duration_seconds',
      'Time from the request to the end of its answer, by route.',
      ['route'],
      durationBuckets,
    ),
    sentBytes: tally('sent_bytes_total', 'Bytes sent to clients, heads included, by route.', ['route']),
    streamsInFlight: new Gauge({
      name: 'quay_proxy_streams_in_flight',
      help: 'Blobs that are being streamed.',
      registers,
    }),
    shed: counter('shed_total', 'Clients that were sent away, or cut, by reason. Alert on a rate.', [
      'reason',
    ]),
    ...accessMetrics(registry),
    upstreamRequests: counter(
      'upstream_requests_total',
      'Requests to upstream, every hop, by kind and status.',
      ['kind', 'status'],
    ),
    robotRefused: counter(
      'robot_refused_total',
      'Upstream refused a robot: nobody can pull where it is the only one. Alert on any increase.',
    ),
    reloadFailures: counter(
      'reload_failures_total',
      'Files that changed and could not be used; the old content stays. Alert on any increase.',
      ['file'],
    ),
  }
}

/** Who is let in, and what the API server was asked for it. */
const accessMetrics = (registry: Registry) => {
  const registers = [registry]
  const counter = counterOn(registry)
  const tally = fastCounterOn(registry)
  return {
    decisions: tally(
      'decisions_total',
      'Access decisions, by what opened, whether the cluster was asked, and sort of identity.',
      ['rule', 'source', 'kind'],
    ),
    reviews: counter('reviews_total', 'Reviews that the API server was asked for, by kind and outcome.', [
      'kind',
      'outcome',
    ]),
    reviewsInFlight: new Gauge({
      name: 'quay_proxy_reviews_in_flight',
      help: 'Reviews that the API server has not answered yet, by lane.',
      labelNames: ['lane'],
      registers,
    }),
    reviewsShed: counter(
      'reviews_shed_total',
      'Reviews that were not asked for since too many were in flight, by lane: answered 503.',
      ['lane'],
    ),
    loginsLimited: counter(
      'logins_limited_total',
      'Unknown tokens that were not reviewed since too many were refused before (of their address, of everybody: 429), or wait (503).',
      ['limit'],
    ),
    cacheHits: tally(
      'review_cache_hits_total',
      'Reviews answered from memory, by cache and outcome; grace: API server away.',
      ['cache', 'outcome', 'source'],
    ),
  }
}

/** What is known by watching ImageStreams; `read` is asked at every scrape. Only where they are watched. */
export const createWatchMetrics = (
  { registry }: Pick<Metrics, 'registry'>,
  read: () => Readonly<Record<'digests' | 'imageStreams' | 'notIndexed' | 'silentSeconds', number>>,
) => {
  const gauge = gaugeOn(registry)
  gauge('watched_digests', 'Digests that ImageStreams of app.ci name.', () => read().digests)
  gauge('watched_image_streams', 'ImageStreams of app.ci that name a digest.', () => read().imageStreams)
  gauge(
    'digests_not_indexed',
    'Digests of ImageStreams that found no room: pulls by digest from these may need a pull by tag first. Alert above 0.',
    () => read().notIndexed,
  )
  gauge(
    'image_streams_silence_seconds',
    'Time since app.ci last said something about ImageStreams. Alert above a few minutes.',
    () => read().silentSeconds,
  )
  return {
    restarts: counterOn(registry)(
      'image_streams_restarts_total',
      'Lists and watches of ImageStreams that ended before their time, by what ended; expired: listed anew.',
      ['reason'],
    ),
  }
}

/** What the graph of facts holds, and how far the restricted index is. */
export const createDigestMetrics = (
  { registry }: Pick<Metrics, 'registry'>,
  read: () => {
    readonly digests: number
    readonly restrictedDigests: number
    readonly isLiveComplete?: boolean
    readonly isWhole?: boolean
    readonly followed?: number
  },
): void => {
  const gauge = gaugeOn(registry)
  gauge(
    'known_digests',
    'Digests that tags of namespaces which are not restricted reach.',
    () => read().digests,
  )
  gauge(
    'restricted_digests',
    'Digests that tags of restricted namespaces reach, or have reached.',
    () => read().restrictedDigests,
  )
  gauge(
    'restricted_index_complete',
    '1 once every live tag of restricted namespaces was followed; absent knowledge is not open before. Alert on 0.',
    () => Number(read().isLiveComplete ?? true),
  )
  gauge('restricted_index_whole', '1 once dated copies of restricted images were followed, too.', () =>
    Number(read().isWhole ?? true),
  )
  gauge(
    'restricted_tags_followed',
    'Tags that this replica has followed for the index.',
    () => read().followed ?? 0,
  )
}

/** Whether replicas share what they know. Only where they are to. */
export const createSharedStateMetrics = (
  { registry }: Pick<Metrics, 'registry'>,
  status: () => { readonly state: string; readonly reason?: string; readonly replicas: number },
): void => {
  const gauge = gaugeOn(registry)
  gauge(
    'shared_state_connected',
    '1 while what one replica learns reaches the others. Alert on 0 for more than a few minutes.',
    () => Number(status().state === 'connected' && status().reason === undefined),
  )
  gauge('shared_state_replicas', 'Replicas that share state, as this one knows.', () => status().replicas)
}
