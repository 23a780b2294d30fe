/**
 * Composes the stages between the registry and upstream.
 */
import type { Config } from '../config/config.ts'
import { userAgent } from '../config/version.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Digests } from './compose-digests.ts'
import type { DigestUpstream } from './digest-upstream.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { PartHealth } from '../telemetry/part-states.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createUpstreamObserver } from '../telemetry/observers.ts'
import { mentionsIn, parseManifest } from '../oci/manifest.ts'
import { UnreadableManifest } from '../upstream/errors.ts'
import { createPipeline, type Pipeline, type PipelineOptions } from '../upstream/pipeline.ts'
import type { Digest } from '../oci/reference.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import type { Tracing } from '../tracing/tracing.ts'
import { createUpstreamGauges, createUpstreamMetrics } from '../telemetry/upstream-metrics.ts'
import type { ComposedS3 } from './compose-s3.ts'
import type { ComposedStorage } from './compose-storage.ts'
import type { ReloadedFiles } from './reloaded-files.ts'

export interface ComposeUpstreamOptions {
  readonly config: Config
  readonly logger: Logger
  readonly metrics: Metrics
  readonly files: ReloadedFiles
  readonly digests: Pick<Digests, 'record' | 'recordUnreadable'>
  readonly shared: Pick<SharedState, 'tokenBucket'>
  readonly cache: ComposedStorage | undefined
  readonly s3: ComposedS3 | undefined
  readonly tracing: Tracing
}

export const composeUpstream = (
  { config, logger, metrics, files, digests, shared, cache, s3, tracing }: ComposeUpstreamOptions,
  health: Pick<PartHealth, 'note'>,
): Pipeline => {
  const pipeline = createPipeline({
    upstream: config.upstream,
    upstreamCa: config.upstreamCa,
    upstreamRepository: config.upstreamRepository,
    maxUpstreamConnections: config.maxUpstreamConnections,
    upstreamLimits: config.upstreamLimits,
    retryTimeoutMs: config.retryTimeoutMs,
    stallTimeoutMs: config.stallTimeoutMs,
    manifestCacheBytes: config.manifestCacheBytes,
    diskCache: cache && { ...cache, s3 },
    cacheS3Ca: config.s3Ca,
    tagTtlMs: config.tagTtlMs,
    staleIfErrorMs: config.staleIfErrorMs,
    blobDelivery: config.blobDelivery,
    learn: learnInto(digests),
    credentials: files.robot.current,
    // The token bucket is of all replicas, or already this one's share of it: nothing is left to divide.
    replicas: 1,
    tokenBucket: shared.tokenBucket,
    userAgent,
    tracing,
    observe: {
      refused: (reason) => {
        metrics.robotRefused.inc()
        logger.error({ reason }, 'upstream rejected the robot credential')
      },
      request: createUpstreamObserver(metrics, health),
      ...createUpstreamMetrics(metrics.registry),
    },
  })
  createUpstreamGauges(metrics.registry, pipeline.stats)
  files.robot.onChange(() => pipeline.robot.reset())
  return pipeline
}

const learnInto =
  (digests: ComposeUpstreamOptions['digests']): PipelineOptions['learn'] =>
  async (tag, { digest, content }) => {
    const children = content === undefined ? undefined : parseManifest(content)
    // No string without content.
    if (typeof children === 'string')
      await digests.recordUnreadable(tag, digest, () => mentionsIn(content as Buffer))
    else await digests.record(tag, digest, children)
  }

/** Reads of upstream for `Digests`: for a requester, and in the background with a lower priority. */
export const readsOf = ({ source, background }: Pipeline): DigestUpstream => ({
  fetchManifest: async (reference, requester) =>
    await digestOf(source.fetchManifest({ method: 'GET', reference, accept: undefined, requester })),
  fetchPage: async (after, requester) => await source.fetchTags({ after, requester }),
  fetchManifestInBackground: async (reference, signal) =>
    await digestOf(background.fetchManifest({ ...indexRequest, method: 'GET', reference, signal })),
  fetchPageInBackground: async (after, signal) =>
    await background.fetchTags({ ...indexRequest, after, signal }),
})

const indexRequest = { accept: undefined, requester: 'the restricted index', priority: 'background' } as const

/** Undefined if upstream has no manifest. One that cannot be parsed is no absence: it closes all that it mentions. */
const digestOf = async (fetching: Promise<{ readonly digest: Digest }>): Promise<Digest | undefined> => {
  try {
    return (await fetching).digest
  } catch (error) {
    if (error instanceof UnreadableManifest) return error.digest
    if (error instanceof RegistryError && error.code === 'MANIFEST_UNKNOWN') return undefined
    throw error
  }
}
