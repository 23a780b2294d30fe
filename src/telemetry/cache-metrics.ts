/**
 * The metrics of the cache on a disk: the sources of blobs, the outcomes of fills, and evictions.
 */
import type { Registry } from 'prom-client'
import { closedCounterOn, counterOn, gaugeOn } from './instruments.ts'

export interface CacheReadings {
  readonly blobs: { readonly entries: number; readonly bytes: number }
  readonly manifests: { readonly entries: number; readonly bytes: number }
  /** The disk does not answer. */
  readonly isStuck: boolean
}

const tiers = ['disk', 's3', 'shared', 'live', 'bypassed', 'redirected'] as const
const kinds = ['blobs', 'manifests'] as const
const outcomes = ['stored', 'cancelled', 'failed', 'wrong', 'full', 'slow', 'unwritable'] as const
const corruptions = ['size', 'digest', 'unreadable'] as const

type Kind = (typeof kinds)[number]

/** The callbacks for the events of the cache. */
export const createCacheMetrics = (registry: Registry) => {
  const closedCounter = closedCounterOn(registry)
  const served = closedCounter(
    'blobs_total',
    'Blobs served, by tier; shared: followed the fill of another request; live: began a fill; bypassed: not by the cache; redirected: to S3.',
    { tier: tiers },
  )
  const sentBytes = counterOn(registry)(
    'cache_sent_bytes_total',
    'Bytes of blobs that clients received from the cache.',
  )
  const fills = closedCounter(
    'cache_fills_total',
    'Fills of the cache, by kind and outcome; full, slow, unwritable: given up because of the disk. Alert on a rate of these.',
    { kind: kinds, outcome: outcomes },
  )
  const filledBytes = closedCounter('cache_filled_bytes_total', 'Bytes added to the cache, by kind.', {
    kind: kinds,
  })
  const evictions = closedCounter(
    'cache_evictions_total',
    'Entries that were removed to make room for others, by kind.',
    { kind: kinds },
  )
  const evictedBytes = closedCounter(
    'cache_evicted_bytes_total',
    'Size of the entries that were removed to make room for others, by kind.',
    { kind: kinds },
  )
  const corrupt = closedCounter(
    'cache_corrupt_entries_total',
    'Entries that were dropped because the disk returned something else, by kind and reason. Alert on any increase.',
    { kind: kinds, reason: corruptions },
  )
  return {
    served: (tier: (typeof tiers)[number]) => served.inc({ tier }),
    sent: (bytes: number) => sentBytes.inc(bytes),
    fillEnded: (kind: Kind, outcome: (typeof outcomes)[number], bytes: number) => {
      fills.inc({ kind, outcome })
      filledBytes.inc({ kind }, bytes)
    },
    evicted: (kind: Kind, bytes: number) => {
      evictions.inc({ kind })
      evictedBytes.inc({ kind }, bytes)
    },
    corrupt: (kind: Kind, reason: (typeof corruptions)[number]) => corrupt.inc({ kind, reason }),
  }
}

/** @param read called at every scrape */
export const createCacheGauges = (registry: Registry, read: () => CacheReadings): void => {
  const gauge = gaugeOn(registry)
  gauge('cache_blobs', 'Blobs on the disk.', () => read().blobs.entries)
  gauge('cache_blob_bytes', 'Size of the blobs on the disk.', () => read().blobs.bytes)
  gauge('cache_manifests', 'Manifests on the disk.', () => read().manifests.entries)
  gauge('cache_manifest_bytes', 'Size of the manifests on the disk.', () => read().manifests.bytes)
  gauge(
    'cache_disk_stuck',
    '1 while the disk of the cache does not answer, so that it is bypassed. Alert on 1.',
    () => Number(read().isStuck),
  )
}
