/**
 * What an operator sees of the conversation with upstream: what was asked, what was spared, and what it took to get it whole.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export interface SourceReadings {
  readonly manifests: number
  /** Bytes. */
  readonly bytes: number
  readonly tags: number
}

/** A wait for quay's next second, and the longest that is granted. */
const waitBuckets = [0.01, 0.05, 0.25, 1, 3]

/** @param read asked at every scrape */
export const createSourceMetrics = (registry: Registry, read: () => SourceReadings) => {
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({ name: `quay_proxy_${name}`, help, labelNames: [...labelNames], registers })
  gaugesOf(registry, read)
  return {
    manifests: counter(
      'manifests_total',
      'Manifests served, by source; joined: waited for what another had asked for; stale: upstream has trouble.',
      ['source'],
    ),
    tagPages: counter('tag_pages_total', "Pages of upstream's tag list that were read, by source.", [
      'source',
    ]),
    retries: counter('upstream_retries_total', 'Requests tried again after a trouble of upstream.'),
    away: counter(
      'upstream_not_asked_total',
      'Requests that were not asked since upstream is away. Alert on a rate.',
    ),
    resumes: counter(
      'blob_resumes_total',
      'Blobs that broke off, by whether they went on. Alert where given up.',
      ['outcome'],
    ),
    limited: counter(
      'upstream_limited_total',
      'Requests that found no turn within the limits of upstream, by kind and why.',
      ['kind', 'why'],
    ),
    pauseSeconds: counter(
      'upstream_pause_seconds_total',
      'Time that upstream asked for with its 429, by kind.',
      ['kind'],
    ),
    waitSeconds: new Histogram({
      name: 'quay_proxy_upstream_wait_seconds',
      help: 'Time that requests waited for their turn within the limits of upstream, by kind.',
      labelNames: ['kind'],
      buckets: waitBuckets,
      registers,
    }),
  }
}

const gaugesOf = (registry: Registry, read: () => SourceReadings): void => {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `quay_proxy_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value())
      },
    })
  gauge('manifest_cache_manifests', 'Manifests in memory.', () => read().manifests)
  gauge('manifest_cache_bytes', 'Size of the manifests in memory.', () => read().bytes)
  gauge('manifest_cache_tags', 'Tags of which it is known where they were.', () => read().tags)
}
