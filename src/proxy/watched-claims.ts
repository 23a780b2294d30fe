/**
 * What the ImageStreams of app.ci claim: the watch and the index of its claims, composed.
 */
import type { KubeConfig } from '@kubernetes/client-node'
import { createImageStreamClaims, keyOf, type Claim } from '../digests/image-stream-claims.ts'
import { createImageStreamWatch } from '../kubernetes/image-streams.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createWatchMetrics, type Metrics } from '../telemetry/metrics.ts'
import type { Digest, ImageStream } from '../oci/reference.ts'

export interface WatchedClaimsOptions {
  readonly imageStreams: 'off' | 'watch'
  readonly kubeConfig: KubeConfig
  readonly isRestricted: (namespace: string) => boolean
  /** The monorepo as pull specs write it, behind each of its hosts. */
  readonly monorepos: readonly string[]
  readonly logger: Logger
  readonly metrics: Metrics
  /** Bound on what ImageStreams claim. */
  readonly maxClaims?: number
}

/** What the ImageStreams of app.ci claim, where they are watched. */
export const createWatchedClaims = (
  { imageStreams, kubeConfig, isRestricted, monorepos, logger, metrics, maxClaims }: WatchedClaimsOptions,
  onChange: (imageStream: Required<ImageStream>, digests: readonly Digest[]) => void,
) => {
  if (imageStreams === 'off')
    return { of: () => [], start: () => undefined, notReady: () => [], close: async () => undefined }
  const claims = createImageStreamClaims({
    isRestricted,
    ...(maxClaims === undefined ? {} : { max: maxClaims }),
    onFull: (full) => {
      if (full)
        logger.error(claims.counts(), 'ImageStreams claim more digests than are held; some are not indexed')
      else logger.info(claims.counts(), 'all digests that ImageStreams claim are held again')
    },
  })
  const watch = createImageStreamWatch({
    kubeConfig,
    monorepos,
    observer: {
      put: (imageStream: Required<ImageStream>, named: readonly Claim[]) => {
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
    },
    onTrouble: (trouble, error) => {
      watchMetrics.restarts.inc({ reason: trouble })
      logger.warn({ err: error, trouble }, 'ImageStream list/watch failed; retrying')
    },
  })
  const watchMetrics = createWatchMetrics(metrics, () => ({
    ...claims.counts(),
    silentSeconds: watch.silentMs() / 1000,
  }))
  return {
    of: claims.of,
    start: watch.start,
    notReady: () => (watch.listed() ? [] : ['the ImageStreams of app.ci are not listed yet']),
    close: watch.close,
  }
}
