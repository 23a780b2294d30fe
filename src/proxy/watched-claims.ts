/**
 * Composes the claims of app.ci's ImageStreams: the watch, and the index of claims.
 */
import type { KubeConfig } from '@kubernetes/client-node'
import { createImageStreamClaims, keyOf, type ImageStreamClaims } from '../digests/image-stream-claims.ts'
import { ImageStreamWatch, type ImageStreamObserver } from '../kubernetes/image-streams.ts'
import { claimsOf, type TagClaim } from '../kubernetes/tag-claims.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createWatchMetrics } from '../telemetry/digest-metrics.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Digest, ImageStream } from '../oci/reference.ts'

export interface WatchedClaimsOptions {
  readonly imageStreams: 'off' | 'watch'
  /** Undefined for a proxy of robots, which has no cluster. */
  readonly kubeConfig: KubeConfig | undefined
  readonly isRestricted: (namespace: string) => boolean
  /** Names of the monorepo in pull specs, one for each of its hosts. */
  readonly monorepos: readonly string[]
  readonly logger: Logger
  readonly metrics: Metrics
  /** Bound on pairs of a digest and an image stream. */
  readonly maxClaims?: number
}

export interface WatchedClaims {
  readonly of: ImageStreamClaims['of']
  readonly start: () => void
  /** The reasons why this replica is not ready. */
  readonly notReady: () => readonly string[]
  readonly close: () => Promise<void>
}

/** Called for each image stream that was listed or that changed. */
type OnChange = (imageStream: Required<ImageStream>, digests: readonly Digest[]) => void

/** With `off`, or without a cluster, no digest is claimed. */
export const createWatchedClaims = (options: WatchedClaimsOptions, onChange: OnChange): WatchedClaims => {
  const { imageStreams, kubeConfig, monorepos, logger, metrics } = options
  if (imageStreams === 'off' || kubeConfig === undefined)
    return { of: () => [], start: () => undefined, notReady: () => [], close: async () => undefined }
  const claims = createClaims(options)
  const watch = new ImageStreamWatch({
    kubeConfig,
    read: (object) => claimsOf(object, monorepos),
    observer: observerOf(claims, logger, onChange),
    onFailure: (failure, error) => {
      restarts.inc({ reason: failure })
      logger.warn({ err: error, failure }, 'ImageStream list/watch failed; retrying')
    },
  })
  const { restarts } = createWatchMetrics(metrics, () => ({
    ...claims.counts(),
    silentSeconds: watch.silentMs() / 1000,
  }))
  return {
    of: claims.of,
    start: () => watch.start(),
    notReady: () => (watch.listed() ? [] : ['the ImageStreams of app.ci are not listed yet']),
    close: async () => await watch.close(),
  }
}

const createClaims = ({ isRestricted, maxClaims, logger }: WatchedClaimsOptions): ImageStreamClaims => {
  const claims: ImageStreamClaims = createImageStreamClaims({
    isRestricted,
    ...(maxClaims === undefined ? {} : { max: maxClaims }),
    onFull: (full) => {
      if (full) logger.error(claims.counts(), 'digest index full; some ImageStream digests are not indexed')
      else logger.info(claims.counts(), 'all ImageStream digests are indexed again')
    },
  })
  return claims
}

const observerOf = (
  claims: ImageStreamClaims,
  logger: Logger,
  onChange: OnChange,
): ImageStreamObserver<readonly TagClaim[]> => ({
  put: (imageStream, named) => {
    claims.put(imageStream, named)
    onChange(
      imageStream,
      named.map(({ digest }) => digest),
    )
  },
  remove: claims.remove,
  listed: (listed) => {
    claims.retain(new Set(listed.map(keyOf)))
    logger.info(claims.counts(), 'the ImageStreams of app.ci are listed')
  },
})
