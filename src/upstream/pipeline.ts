/**
 * The pipeline: every stage between the registry and upstream, in the one order in which a request passes them.
 *
 *     manifest    cache -> disk -> S3 -> retry -> hedge -> manifests -> circuit breaker -> rate limit -> client
 *     blob        disk -> S3 -> slot -> resume -> retry -> hedge -> blobs -> circuit breaker -> rate limit -> client
 *     tags        cache -> retry -> hedge -> tags -> circuit breaker -> rate limit -> client
 *     referrers   cache -> retry -> hedge -> referrers -> circuit breaker -> rate limit -> client
 *
 * - The cache comes first: a cached answer costs upstream nothing. With `--cache-dir`, blobs and manifests are on the disk as well: the
 *   first reader of a blob fills it, and later readers follow the fill or find the file. With `--cache-s3`, the fill comes from S3 if it is
 *   there.
 * - A blob keeps its slot through every break: a client with half of a blob does not wait behind clients that have none.
 * - Retry and hedge work on whole answers, not on heads: a manifest that is cut, stalls in the middle, or does not match its digest is
 *   fetched again, too.
 * - The circuit breaker comes before the rate limit: a request that is not sent does not wait for its turn.
 * - The rate limit counts the requests that are sent.
 */
import { isDigest, type QciTag } from '../oci/reference.ts'
import type { Blob, Caller, FetchManifest, ImageSource, Manifest } from '../oci/image-source.ts'
import { createBlobs } from './blobs.ts'
import { createRateLimit, type RateLimitOptions } from './rate-limit/rate-limit.ts'
import { createUpstreamClient } from './client/client.ts'
import { createNetwork, type NetworkOptions } from './client/network.ts'
import { createS3Network } from './client/s3-network.ts'
import { createBlobSizes } from './cache/blob-sizes.ts'
import { createManifestCache, type ManifestCache } from './cache/manifest-cache.ts'
import type { ManifestCacheOptions } from './cache/manifest-cache-options.ts'
import { createManifests } from './manifests.ts'
import { createBlobSlots, type BlobSlotsOptions } from './rate-limit/blob-slots.ts'
import { createHedge, hedged } from './resilience/hedging.ts'
import { CircuitOpen, withCircuitBreaker, type CircuitScope } from './resilience/upstream-circuits.ts'
import { ratesFor } from './rate-limit/quay-limits.ts'
import { createReferrersCache } from './cache/referrers-cache.ts'
import { createReferrers } from './referrers.ts'
import { createResume, type ResumeOptions } from './resilience/resume.ts'
import { createRetry, retried } from './resilience/retry.ts'
import { createRobotPool, type RobotPool, type RobotPoolOptions } from './robot/robot-pool.ts'
import { createTagListCache, type TagListCacheOptions } from './cache/tag-list-cache.ts'
import { createStoredTier, type StoredTierOptions } from './cache/stored-tier.ts'
import { createTags } from './tags.ts'

export interface PipelineOptions {
  readonly upstream: URL
  /** PEM, in addition to the well-known authorities. */
  readonly upstreamCa: string | undefined
  /** `openshift/ci` */
  readonly upstreamRepository: string
  readonly maxUpstreamConnections: number
  readonly credentials: RobotPoolOptions['credentials']
  /** `quay`: the proxy stays below the rate limits of quay.io for one address. */
  readonly upstreamLimits: 'quay' | 'none'
  /** Proxies that share one address. */
  readonly replicas: number
  /** Milliseconds after a first try in which a further one may begin. */
  readonly retryTimeoutMs: number
  /** Milliseconds for which upstream may be silent within a body. */
  readonly stallTimeoutMs: number
  readonly manifestCacheBytes: number
  readonly tagTtlMs: number
  readonly staleIfErrorMs: number
  readonly blobDelivery: 'stream' | 'redirect'
  /**
   * Called for every manifest of upstream after its bytes were verified, and before any client gets it.
   * @param tag undefined if it was requested by digest
   */
  readonly learn: (tag: QciTag | undefined, manifest: Manifest) => Promise<void>
  /** For replicas that share the rate limits of upstream. Each replica counts for itself unless given. */
  readonly tokenBucket?: RateLimitOptions['tokenBucket']
  /** `--cache-dir` and `--cache-s3`; undefined if nothing is cached on a disk. */
  readonly diskCache?: StoredTierOptions | undefined
  /** PEM authorities of S3, in addition to the well-known ones. */
  readonly cacheS3Ca?: string | undefined
  readonly observe: PipelineObservers
}

export interface PipelineObservers {
  readonly refused: (reason: string) => void
  readonly request: NetworkOptions['observe']
  readonly retry: () => void
  readonly hedge: () => void
  readonly circuitOpen: (scope: CircuitScope) => void
  readonly wait: RateLimitOptions['observeWait']
  readonly limited: RateLimitOptions['observeRefused']
  readonly paused: RateLimitOptions['observePause']
  readonly slotRefused: BlobSlotsOptions['observeRefused']
  readonly resume: ResumeOptions['observe']
  readonly manifest: ManifestCacheOptions['observe']
  readonly tags: TagListCacheOptions['observe']
}

export interface Pipeline {
  readonly source: ImageSource
  /** For background requests, without a cache: their answers are learnt, and no client gets them. */
  readonly background: Pick<ImageSource, 'fetchManifest' | 'fetchTags'>
  readonly robot: RobotPool
  readonly forget: ManifestCache['forget']
  readonly stats: ManifestCache['stats']
  readonly close: () => Promise<void>
}

export const createPipeline = (options: PipelineOptions): Pipeline => {
  const { upstreamRepository: repository, observe, tagTtlMs, staleIfErrorMs } = options
  const { send: sendNow, robot, close } = connect(options)
  const limited = rateLimitOf(options)
  const send = withCircuitBreaker({ send: limited(sendNow), observeRefused: observe.circuitOpen })
  const resilient = createResilience(options)
  const withSlot = createBlobSlots({
    maxSlots: options.maxUpstreamConnections,
    observeRefused: observe.slotRefused,
  })
  const sizes = createBlobSizes()
  const s3 = createS3Network({ ca: options.cacheS3Ca, maxConnections: maxS3Connections })
  const tier = createStoredTier(options.diskCache, sizes.sizeOf, s3.roundTrip)
  const learningAll = (fetch: FetchManifest) => learning(options.learn, sizes.learning(fetch))
  const fetchManifest = learningAll(tier.storingManifests(resilient(createManifests(send, repository))))
  const manifests = createManifestCache({
    ...tier.forMemory(learningAll),
    fetch: fetchManifest,
    maxBytes: options.manifestCacheBytes,
    tagTtlMs,
    staleIfErrorMs,
    observe: observe.manifest,
  })
  const fetchTags = resilient(createTags(send, repository))
  const fetchReferrers = resilient(createReferrers({ send, repository }))
  const openBlob = createResume({
    open: resilient(createBlobs({ send, repository, delivery: deliveryOf(options) }), discardBlob),
    sizeOf: sizes.sizeOf,
    observe: observe.resume,
  })
  return {
    robot,
    forget: manifests.forget,
    stats: manifests.stats,
    close: async () => {
      await Promise.all([close(), s3.close()])
    },
    background: { fetchManifest, fetchTags },
    source: {
      fetchManifest: manifests.fetchManifest,
      openBlob: tier.storingBlobs(withSlot(openBlob)),
      fetchTags: createTagListCache({ fetchTags, ttlMs: tagTtlMs, observe: observe.tags }),
      fetchReferrers: createReferrersCache({ fetchReferrers, ttlMs: tagTtlMs }),
    },
  }
}

/** With S3, what S3 does not have is streamed through a fill: otherwise S3 would never get it. */
const deliveryOf = ({ blobDelivery, diskCache }: PipelineOptions) =>
  diskCache?.s3 === undefined ? blobDelivery : 'stream'

/** As many as S3 bodies at a time, and as many again. */
const maxS3Connections = 1024

/** Wraps a fetch into a retry around a hedge. The second request of a hedge has retries of its own. */
const createResilience = ({ observe, retryTimeoutMs }: PipelineOptions) => {
  const retry = createRetry({
    isCircuitOpen: (error) => error instanceof CircuitOpen,
    maxElapsedMs: retryTimeoutMs,
    observeRetry: observe.retry,
  })
  const hedge = createHedge({ observe: observe.hedge })
  return <Request extends Caller, Answer>(
    fetch: (request: Request) => Promise<Answer>,
    discard?: (answer: Answer) => unknown,
  ) => retried(retry, hedged(hedge, fetch, retried(retry, fetch), discard))
}

const rateLimitOf = ({ observe, ...options }: PipelineOptions) =>
  createRateLimit({
    rates: options.upstreamLimits === 'quay' ? ratesFor(options.replicas) : undefined,
    observeWait: observe.wait,
    observeRefused: observe.limited,
    observePause: observe.paused,
    maxInFlight: options.maxUpstreamConnections,
    tokenBucket: options.tokenBucket,
  })

const learning =
  (learn: PipelineOptions['learn'], fetch: FetchManifest): FetchManifest =>
  async (request) => {
    const manifest = await fetch(request)
    await learn(isDigest(request.reference) ? undefined : request.reference, manifest)
    return manifest
  }

const discardBlob = async ({ body }: Blob): Promise<void> => await body?.discard()

/** First the network, then the robot's login over it, then the client with both. */
const connect = (options: PipelineOptions) => {
  const { upstream: origin, upstreamRepository: repository, upstreamCa: ca, credentials, observe } = options
  const network = createNetwork({
    origin,
    maxConnections: options.maxUpstreamConnections,
    ...(ca === undefined ? {} : { ca }),
    observe: observe.request,
    timeouts: { body: options.stallTimeoutMs },
  })
  const hedge = createHedge({ observe: observe.hedge })
  const robot = createRobotPool({
    credentials,
    upstream: origin,
    repository,
    get: async (url, authorization) => {
      const send = async () => await network.get(url, authorization)
      return await hedge({ send, hedgedSend: send })
    },
    retry: createRetry(),
    onRefused: observe.refused,
  })
  const send = createUpstreamClient({ origin, network, robot, onRefused: observe.refused })
  return { send, robot, close: network.close }
}
