/**
 * Composes the cache on a disk; nothing without `--cache-dir`.
 */
import type { Config } from '../config/config.ts'
import { openStorage, type Storage } from '../storage/storage.ts'
import { createCacheGauges, createCacheMetrics } from '../telemetry/cache-metrics.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { PipelineOptions } from '../upstream/pipeline.ts'

export interface ComposedStorage {
  readonly storage: Storage
  readonly observe: NonNullable<PipelineOptions['diskCache']>['observe']
}

/** @throws {Error} if the directory cannot be used */
export const composeStorage = (
  { cacheDir: directory, cacheBytes: maxBytes }: Pick<Config, 'cacheDir' | 'cacheBytes'>,
  logger: Logger,
  metrics: Metrics,
): ComposedStorage | undefined => {
  if (directory === undefined) return undefined
  const observe = createCacheMetrics(metrics.registry)
  const storage = openStorage({
    directory,
    maxBytes,
    observe: {
      evicted: observe.evicted,
      fillEnded: (kind, outcome, bytes) => {
        observe.fillEnded(kind, outcome, bytes)
        if (outcome === 'wrong') logger.error({ kind }, 'upstream sent bytes of another digest')
        else if (givenUp.has(outcome)) logger.warn({ kind, outcome }, 'the disk of the cache: fill given up')
      },
      corrupt: (kind, why) => {
        observe.corrupt(kind, why)
        logger.error({ kind, why }, 'corrupt cache entry dropped')
      },
      warning: (reason) => logger.warn({ reason }, 'cache'),
    },
  })
  createCacheGauges(metrics.registry, () => ({
    blobs: storage.blobs.stats(),
    manifests: storage.manifests.stats(),
    isStuck: storage.isStuck(),
  }))
  return { storage, observe }
}

const givenUp: ReadonlySet<string> = new Set(['full', 'slow', 'unwritable'])

/** For `/readyz?verbose`. */
export const describeStorage = (storage: Storage): string => `cache: ${contentsOf(storage)}`

export const contentsOf = ({ blobs, manifests, isStuck }: Storage): string => {
  const { entries, bytes, isLoaded } = blobs.stats()
  const details = [
    `${entries} blobs of ${Math.round(bytes / 1024 ** 2)} MiB`,
    `${manifests.stats().entries} manifests`,
    ...(isLoaded ? [] : ['entries of the last start are still being read']),
    ...(isStuck() ? ['the disk does not answer'] : []),
  ]
  return details.join(', ')
}
