/**
 * Where digests are known to be: by what was served by tag, and by what the ImageStreams of app.ci name where those are watched.
 */
import type { KubeConfig } from '@kubernetes/client-node'
import { createDigestIndex, type DigestIndex } from './access/digests.ts'
import { createWatchedDigests, keyOf } from './access/watched-digests.ts'
import { createImageStreamWatch } from './kubernetes/image-streams.ts'
import type { Logger } from './logging.ts'
import { createWatchMetrics, type Metrics } from './metrics.ts'
import type { ImageStream } from './reference.ts'

export interface KnownDigests {
  readonly digests: DigestIndex
  readonly start: () => void
  /** What keeps it from being relied upon: until the first list is complete, a restricted digest may look like nobody's. */
  readonly notReady: () => readonly string[]
  readonly close: () => Promise<void>
}

export interface KnownDigestsOptions {
  readonly imageStreams: 'off' | 'watch'
  readonly kubeConfig: KubeConfig
  readonly isRestricted: (namespace: string) => boolean
  readonly logger: Logger
  readonly metrics: Metrics
  /** Bound on what is known by the watch. */
  readonly max?: number
}

export const createKnownDigests = (options: KnownDigestsOptions): KnownDigests => {
  const { imageStreams, isRestricted } = options
  const served = createDigestIndex({ isRestricted })
  if (imageStreams === 'off')
    return { digests: served, start: () => undefined, notReady: () => [], close: async () => undefined }
  const { seenIn, watch } = createWatched(options)
  return {
    digests: {
      learn: served.learn,
      // The newest last: what was pulled by tag a moment ago is what its layers are asked for next.
      seenIn: (digest) => union(seenIn(digest), served.seenIn(digest)),
    },
    start: watch.start,
    notReady: () => (watch.listed() ? [] : ['the ImageStreams of app.ci are not listed yet']),
    close: watch.close,
  }
}

const union = (watched: readonly ImageStream[], served: readonly ImageStream[]): readonly ImageStream[] => {
  if (served.length === 0) return watched
  const isServed = (one: ImageStream) =>
    served.some(({ namespace, name }) => namespace === one.namespace && name === one.name)
  return [...watched.filter((one) => !isServed(one)), ...served]
}

const createWatched = ({ kubeConfig, isRestricted, logger, metrics, max }: KnownDigestsOptions) => {
  const { put, remove, retain, seenIn, counts } = createWatchedDigests({
    isRestricted,
    ...(max === undefined ? {} : { max }),
    onFull: (full) => {
      if (full) logger.error(counts(), 'the ImageStreams of app.ci name more digests than are held')
      else logger.info(counts(), 'all digests of the ImageStreams of app.ci are held again')
    },
  })
  const watch = createImageStreamWatch({
    kubeConfig,
    observer: {
      put,
      remove,
      listed: (listed) => {
        retain(new Set(listed.map(keyOf)))
        logger.info(counts(), 'the ImageStreams of app.ci are listed')
      },
    },
    onTrouble: (trouble, error) => {
      watchMetrics.restarts.inc({ reason: trouble })
      logger.warn({ err: error, trouble }, 'the ImageStreams of app.ci: trying again')
    },
  })
  const watchMetrics = createWatchMetrics(metrics, () => ({
    ...counts(),
    silentSeconds: watch.silentMs() / 1000,
  }))
  return { seenIn, watch }
}
