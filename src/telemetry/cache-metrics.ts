/**
 * What an operator sees of the cache on a disk: where blobs came from, what became of fills, and what had to go.
 */
import type { Registry } from 'prom-client'
import { counterOn, gaugeOn } from './instruments.ts'

export interface CacheReadings {
  readonly blobs: { readonly entries: number; readonly bytes: number }
  readonly manifests: { readonly entries: number; readonly bytes: number }
  /** The disk does not answer. */
  readonly isStuck: boolean
}

const tiers = ['disk', 'shared', 'live', 'bypassed']
const kinds = ['blobs', 'manifests']
const outcomes = ['stored', 'cancelled', 'failed', 'wrong', 'full', 'slow', 'unwritable']
const corruptions = ['size', 'digest', 'unreadable']

/** Told of what happens, as it happens. */
export const createCacheMetrics = (registry: Registry) => {
  const counter = counterOn(registry)
  const served = counter(
    'blobs_total',
    'Blobs served, by tier; shared: followed the fill of another request; live: began a fill; bypassed: not by the cache.',
    ['tier'],
  )
  const sentBytes = counter('cache_sent_bytes_total', 'Bytes of blobs that clients got from the cache.')
  const fills = counter(
    'cache_fills_total',
    'Fills of the cache, by kind and outcome; full, slow, unwritable: given up for the disk. Alert on a rate of these.',
    ['kind', 'outcome'],
  )
  const filledBytes = counter('cache_filled_bytes_total', 'Bytes that fills added to the cache, by kind.', [
    'kind',
  ])
  const evictions = counter('cache_evictions_total', 'Entries that had to go for later ones, by kind.', [
    'kind',
  ])
  const evictedBytes = counter('cache_evicted_bytes_total', 'Bytes of entries that had to go, by kind.', [
    'kind',
  ])
  const corrupt = counter(
    'cache_corrupt_entries_total',
    'Entries that were dropped since the disk gave something else, by kind and why. Alert on any increase.',
    ['kind', 'why'],
  )
  for (const tier of tiers) served.inc({ tier }, 0)
  for (const kind of kinds) {
    for (const outcome of outcomes) fills.inc({ kind, outcome }, 0)
    for (const why of corruptions) corrupt.inc({ kind, why }, 0)
    for (const known of [filledBytes, evictions, evictedBytes]) known.inc({ kind }, 0)
  }
  return {
    served: (tier: string) => served.inc({ tier }),
    sent: (bytes: number) => sentBytes.inc(bytes),
    fillEnded: (kind: string, outcome: string, bytes: number) => {
      fills.inc({ kind, outcome })
      filledBytes.inc({ kind }, bytes)
    },
    evicted: (kind: string, bytes: number) => {
      evictions.inc({ kind })
      evictedBytes.inc({ kind }, bytes)
    },
    corrupt: (kind: string, why: string) => corrupt.inc({ kind, why }),
  }
}

/** @param read asked at every scrape */
export const createCacheGauges = (registry: Registry, read: () => CacheReadings): void => {
  const gauge = gaugeOn(registry)
  gauge('cache_blobs', 'Blobs on the disk.', () => read().blobs.entries)
  gauge('cache_blob_bytes', 'Size of the blobs on the disk.', () => read().blobs.bytes)
  gauge('cache_manifests', 'Manifests on the disk.', () => read().manifests.entries)
  gauge('cache_manifest_bytes', 'Size of the manifests on the disk.', () => read().manifests.bytes)
  gauge(
    'cache_disk_stuck',
    '1 while the disk of the cache does not answer, so that everything goes past it. Alert on 1.',
    () => Number(read().isStuck),
  )
}
