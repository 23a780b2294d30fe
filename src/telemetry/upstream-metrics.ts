/**
 * The Prometheus metrics of the requests to upstream: caches, retries, hedges, rate limits and circuits.
 */
import { Histogram, type Registry } from 'prom-client'
import { closedFastCounterOn } from './fast-counters.ts'
import { closedCounterOn, counterOn, gaugeOn } from './instruments.ts'

export interface SourceReadings {
  readonly manifests: number
  /** Bytes. */
  readonly bytes: number
  readonly tags: number
}

/** Seconds: up to the next second of quay's rate limit, and the longest wait that is granted. */
const waitBuckets = [0.01, 0.05, 0.25, 1, 3]

const kinds = ['manifest', 'blob', 'tags', 'referrers'] as const
type Kind = (typeof kinds)[number]
const rejections = ['own-queue', 'queue', 'time'] as const
type Rejection = (typeof rejections)[number]

/** Observers for the stages of the pipeline, which call them as events happen. */
export const createUpstreamMetrics = (registry: Registry) => ({
  ...cacheObservers(registry),
  ...resilienceObservers(registry),
  ...limitObservers(registry),
})

const cacheObservers = (registry: Registry) => {
  const manifests = closedFastCounterOn(registry)(
    'manifests_total',
    'Manifests that were served, by source; shared: from the request of another client; stale: from the cache while upstream fails.',
    { source: ['live', 'shared', 'cached', 'stale'] },
  )
  const tagPages = closedCounterOn(registry)(
    'tag_pages_total',
    'Pages of the tag list of upstream that were read, by source.',
    { source: ['live', 'shared', 'cached'] },
  )
  return {
    manifest: (served: { readonly source: 'live' | 'shared' | 'cached' | 'stale' }) => manifests.inc(served),
    tags: (source: 'live' | 'shared' | 'cached') => tagPages.inc({ source }),
  }
}

const resilienceObservers = (registry: Registry) => {
  const counter = counterOn(registry)
  const closedCounter = closedCounterOn(registry)
  const retries = counter(
    'upstream_retries_total',
    'Requests that were retried after a transient error of upstream.',
  )
  const hedges = counter(
    'upstream_hedges_total',
    'Requests that were sent a second time because the first response was late.',
  )
  const circuitOpen = closedCounter(
    'upstream_circuit_open_total',
    'Requests that were not sent because a circuit is open, by scope; upstream: upstream is unavailable, alert on a rate; path: only this path fails repeatedly.',
    { scope: ['upstream', 'path'] },
  )
  const resumes = closedCounter(
    'blob_resumes_total',
    'Blobs that broke off, by outcome: resumed, or given up. Alert on given up.',
    { outcome: ['resumed', 'given up'] },
  )
  return {
    retry: () => retries.inc(),
    hedge: () => hedges.inc(),
    circuitOpen: (scope: 'upstream' | 'path') => circuitOpen.inc({ scope }),
    resume: (outcome: 'resumed' | 'given up') => resumes.inc({ outcome }),
  }
}

const limitObservers = (registry: Registry) => {
  const closedCounter = closedCounterOn(registry)
  const limited = closedCounter(
    'upstream_rate_limited_total',
    'Requests that could not be sent within the rate limits of upstream, by kind and reason.',
    { kind: kinds, reason: [...rejections, 'paused'] },
  )
  const pauseSeconds = closedCounter(
    'upstream_pause_seconds_total',
    'Time that requests were paused after 429 responses of upstream, by kind: Retry-After up to 60 s, or 1 s to 8 s without one.',
    { kind: kinds },
  )
  const slotsRefused = closedCounter(
    'blob_slots_exhausted_total',
    'Blobs that got no slot of --max-upstream-connections, by reason; the client gets 503.',
    { reason: rejections },
  )
  const waitSeconds = new Histogram({
    name: 'quay_proxy_upstream_wait_seconds',
    help: 'Time that requests waited for the rate limits of upstream, by kind.',
    labelNames: ['kind'],
    buckets: waitBuckets,
    registers: [registry],
  })
  return {
    limited: (kind: Kind, reason: Rejection | 'paused') => limited.inc({ kind, reason }),
    paused: (kind: Kind, seconds: number) => pauseSeconds.inc({ kind }, seconds),
    slotRefused: (reason: Rejection) => slotsRefused.inc({ reason }),
    wait: (kind: Kind, seconds: number) => waitSeconds.observe({ kind }, seconds),
  }
}

/** @param read is called at every scrape */
export const createUpstreamGauges = (registry: Registry, read: () => SourceReadings): void => {
  const gauge = gaugeOn(registry)
  gauge('manifest_cache_manifests', 'Manifests in the cache.', () => read().manifests)
  gauge('manifest_cache_bytes', 'Size of the manifests in the cache.', () => read().bytes)
  gauge('manifest_cache_tags', 'Tags whose digest is in the cache.', () => read().tags)
}
