/**
 * Composes the tier of the cache in S3; nothing without `--cache-s3`.
 */
import type { Config } from '../config/config.ts'
import type { Storage } from '../storage/storage.ts'
import type { ObjectStore } from '../storage/s3/object-store.ts'
import type { S3Observers } from '../storage/s3/s3-observers.ts'
import { S3Tier } from '../storage/s3/s3-tier.ts'
import { createUploadSource } from '../storage/s3/upload-source.ts'
import { createS3Gauges, createS3Metrics } from '../telemetry/s3-metrics.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../tracing/tracing.ts'
import type { PipelineOptions } from '../upstream/pipeline.ts'
import { openS3, type S3Flags } from './open-s3.ts'
import type { ReloadedFiles } from './reloaded-files.ts'

export type ComposedS3 = NonNullable<NonNullable<PipelineOptions['diskCache']>['s3']>

export interface ComposeS3Options {
  readonly config: Pick<Config, 'cacheS3' | 'blobDelivery'> & S3Flags
  readonly files: Pick<ReloadedFiles, 's3Credentials'>
  readonly storage: Storage | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing
}

/** Milliseconds between two lines of the log about the same kind of failure. */
const quietMs = 60_000

export const composeS3 = ({
  config,
  files,
  storage,
  logger,
  metrics,
  tracing,
}: ComposeS3Options): ComposedS3 | undefined => {
  const { cacheS3, blobDelivery } = config
  if (cacheS3 === undefined || storage === undefined) return undefined
  const counters = createS3Metrics(metrics.registry)
  const tier = new S3Tier({
    prefix: cacheS3.prefix,
    openStore: async () =>
      withTracedLookUps(await openS3(cacheS3, config, files.s3Credentials?.current), tracing),
    source: createUploadSource(storage),
    observe: observersOf(counters, logger),
  })
  createS3Gauges(metrics.registry, () => tier.stats())
  return { tier, delivery: blobDelivery, observe: { read: counters.read } }
}

/** With a span for the one request of the SDK that a pull waits for. */
const withTracedLookUps = (store: ObjectStore, { stage }: Tracing): ObjectStore => {
  const lookUp: ObjectStore['sizeOf'] = async (key, signal) => await store.sizeOf(key, signal)
  const requestAttributes = () => ({ 'http.request.method': 'HEAD', 'quay_proxy.request.kind': 's3' })
  const traced: ObjectStore = {
    urlOf: async (key, lifetimeSeconds) => await store.urlOf(key, lifetimeSeconds),
    sizeOf: stage('S3 look-up', lookUp, { isClient: true, requestAttributes }),
    put: async (...args) => await store.put(...args),
    remove: async (...args) => await store.remove(...args),
    close: () => store.close(),
  }
  return traced
}

const observersOf = (counters: ReturnType<typeof createS3Metrics>, logger: Logger): S3Observers => {
  const loggedAt = new Map<string, number>()
  const isLoud = (what: string): boolean => {
    const now = performance.now()
    if (now - (loggedAt.get(what) ?? -Infinity) < quietMs) return false
    loggedAt.set(what, now)
    return true
  }
  const log = (operation: string, outcome: string, reason: string | undefined): void => {
    if (outcome === 'refused' && isLoud(`${operation} refused`))
      logger.error({ operation, reason }, 'S3 refuses a request of the cache')
    if (outcome === 'failed' && isLoud(`${operation} failed`))
      logger.warn({ operation, reason }, 'S3 fails a request of the cache')
  }
  return {
    request: (operation, outcome, reason) => {
      counters.request(operation, outcome)
      log(operation, outcome, reason)
    },
    uploaded: (kind, outcome, bytes, reason) => {
      counters.uploaded(kind, outcome, bytes)
      log('upload', outcome, reason)
    },
    corrupt: (kind, why) => {
      counters.corrupt(kind, why)
      logger.error({ kind, why }, 'S3 has other bytes than those of the digest; they are replaced')
    },
    circuit: (isOpen) => {
      if (isOpen) logger.error('S3 is unavailable; the cache goes on without it')
      else logger.info('S3 answers again')
    },
  }
}

/** For `/readyz?verbose`. */
export const describeS3 = ({ tier }: ComposedS3): string => {
  const { isOpen, uploads } = tier.stats()
  return `cache in S3: ${isOpen ? 'unavailable, bypassed' : 'in use'}, ${uploads} uploads pending`
}
