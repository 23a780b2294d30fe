/**
 * The metrics of the tier in S3: requests, uploads, wrong objects, and whether S3 is bypassed.
 */
import type { Registry } from 'prom-client'
import { closedCounterOn, counterOn, gaugeOn } from './instruments.ts'

const operations = ['get', 'head', 'delete'] as const
const outcomes = ['found', 'absent', 'refused', 'failed', 'circuit-open', 'cancelled'] as const
const uploadOutcomes = ['stored', 'present', 'gone', 'dropped', 'failed', 'refused', 'cancelled'] as const
const kinds = ['blobs', 'manifests'] as const
const corruptions = ['size', 'digest'] as const

type Kind = (typeof kinds)[number]

/** The callbacks for the events of the tier. */
export const createS3Metrics = (registry: Registry) => {
  const closedCounter = closedCounterOn(registry)
  const counter = counterOn(registry)
  const requests = closedCounter(
    'cache_s3_requests_total',
    'Requests to the S3 of the cache, by operation and outcome; refused: 403 and other 4xx, failed: no answer in time or 5xx. Alert on a rate of these two.',
    { operation: operations, outcome: outcomes },
  )
  const uploads = closedCounter(
    'cache_s3_uploads_total',
    'Uploads to S3, by kind and outcome; present: S3 had it; gone: the disk no longer had it; dropped: too many waited. Alert on a rate of failed and refused.',
    { kind: kinds, outcome: uploadOutcomes },
  )
  const uploadedBytes = closedCounter('cache_s3_uploaded_bytes_total', 'Bytes uploaded to S3, by kind.', {
    kind: kinds,
  })
  const readBytes = counter('cache_s3_read_bytes_total', 'Bytes of blobs that came from S3.')
  const broken = counter(
    'cache_s3_broken_bodies_total',
    'Blobs that S3 began and upstream had to finish: it broke off, stalled, or was too slow.',
  )
  const corrupt = closedCounter(
    'cache_s3_corrupt_objects_total',
    'Objects of S3 that had other bytes than those of their digest, by kind and reason. Alert on any increase.',
    { kind: kinds, reason: corruptions },
  )
  return {
    request: (operation: (typeof operations)[number], outcome: (typeof outcomes)[number]) =>
      requests.inc({ operation, outcome }),
    uploaded: (kind: Kind, outcome: (typeof uploadOutcomes)[number], bytes: number) => {
      uploads.inc({ kind, outcome })
      uploadedBytes.inc({ kind }, bytes)
    },
    corrupt: (kind: Kind, reason: (typeof corruptions)[number]) => corrupt.inc({ kind, reason }),
    read: (bytes: number, isBroken: boolean) => {
      readBytes.inc(bytes)
      if (isBroken) broken.inc()
    },
  }
}

/** @param read called at every scrape */
export const createS3Gauges = (
  registry: Registry,
  read: () => { readonly isOpen: boolean; readonly uploads: number },
): void => {
  const gauge = gaugeOn(registry)
  gauge(
    'cache_s3_circuit_open',
    '1 while S3 does not answer, so that it is bypassed. Alert on 1 for some minutes.',
    () => Number(read().isOpen),
  )
  gauge('cache_s3_uploads_pending', 'Uploads to S3 that run or wait.', () => read().uploads)
}
