/**
 * What an operator sees of the conversation with upstream: what was asked, what was spared, and what it took to get it whole.
 */
import { Histogram, type Registry } from 'prom-client'
import { fastCounterOn } from './fast-counters.ts'
import { counterOn, gaugeOn } from './instruments.ts'

export interface SourceReadings {
  readonly manifests: number
  /** Bytes. */
  readonly bytes: number
  readonly tags: number
}

/** A wait for quay's next second, and the longest that is granted. */
const waitBuckets = [0.01, 0.05, 0.25, 1, 3]

/** Told of what happens, as it happens. */
export const createUpstreamMetrics = (registry: Registry) => {
  const counter = counterOn(registry)
  const manifests = fastCounterOn(registry)(
    'manifests_total',
    'Manifests served, by source; shared: waited for the request of another; stale: upstream is failing.',
    ['source'],
  )
  const tagPages = counter('tag_pages_total', "Pages of upstream's tag list that were read, by source.", [
    'source',
  ])
  const retries = counter('upstream_retries_total', 'Requests tried again after a trouble of upstream.')
  const hedges = counter(
    'upstream_hedges_total',
    'Requests asked a second time beside the first, whose answer was late.',
  )
  const circuitOpen = counter(
    'upstream_circuit_open_total',
    'Requests that were not asked, by scope; upstream: it is away, alert on a rate; path: this one alone fails again and again.',
    ['scope'],
  )
  for (const scope of ['upstream', 'path']) circuitOpen.inc({ scope }, 0)
  const resumes = counter(
    'blob_resumes_total',
    'Blobs that broke off, by whether they went on. Alert where given up.',
    ['outcome'],
  )
  return {
    manifest: (served: { readonly source: string }) => manifests.inc(served),
    tags: (source: string) => tagPages.inc({ source }),
    retry: () => retries.inc(),
    hedge: () => hedges.inc(),
    circuitOpen: (scope: string) => circuitOpen.inc({ scope }),
    resume: (outcome: string) => resumes.inc({ outcome }),
    ...limitMetrics(registry),
  }
}

const limitMetrics = (registry: Registry) => {
  const counter = counterOn(registry)
  const limited = counter(
    'upstream_rate_limited_total',
    'Requests that found no turn within the limits of upstream, by kind and why.',
    ['kind', 'why'],
  )
  const pauseSeconds = counter(
    'upstream_pause_seconds_total',
    'Time that upstream asked for with its 429, by kind.',
    ['kind'],
  )
  const blobsRefused = counter(
    'blob_slots_exhausted_total',
    'Blobs that found no place among --max-upstream-connections, by why: answered 503.',
    ['why'],
  )
  const waitSeconds = new Histogram({
    name: 'quay_proxy_upstream_wait_seconds',
    help: 'Time that requests waited for their turn within the limits of upstream, by kind.',
    labelNames: ['kind'],
    buckets: waitBuckets,
    registers: [registry],
  })
  return {
    limited: (kind: string, why: string) => limited.inc({ kind, why }),
    paused: (kind: string, seconds: number) => pauseSeconds.inc({ kind }, seconds),
    slotRefused: (why: string) => blobsRefused.inc({ why }),
    wait: (kind: string, seconds: number) => waitSeconds.observe({ kind }, seconds),
  }
}

/** @param read asked at every scrape */
export const createUpstreamGauges = (registry: Registry, read: () => SourceReadings): void => {
  const gauge = gaugeOn(registry)
  gauge('manifest_cache_manifests', 'Manifests in memory.', () => read().manifests)
  gauge('manifest_cache_bytes', 'Size of the manifests in memory.', () => read().bytes)
  gauge('manifest_cache_tags', 'Tags of which it is known where they were.', () => read().tags)
}
