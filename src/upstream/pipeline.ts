/**
 * The pipeline: every stage between the registry and upstream, in the one order in which a request passes them.
 *
 *     manifest    cache -> disk -> retry -> hedge -> manifests -> circuit breaker -> rate limit -> client
 *     blob        disk -> slot -> resume -> retry -> hedge -> blobs -> circuit breaker -> rate limit -> client
 *     tags        cache -> retry -> hedge -> tags -> circuit breaker -> rate limit -> client
 *     referrers   cache -> retry -> hedge -> referrers -> circuit breaker -> rate limit -> client
 *
 * - The cache comes first: a cached answer costs upstream nothing. With `--cache-dir` blobs and manifests are on the disk as well: the
 *   first reader of a blob fills it, and later readers follow or find it.
 * - A blob keeps its slot through every break: a client with half of a blob does not wait behind clients that have none.
 * - Retry and hedge work on whole answers, not on heads: a manifest that is cut, stalls in the middle, or does not match its digest is
 *   fetched again as well.
 * - The circuit breaker stands outside of the rate limit: a request that is not sent does not wait for its turn.
 * - The rate limit counts what is really sent.
 */
import { isDigest, type QciTag } from '../oci/reference.ts'
import { createBlobs, type Blob, type OpenBlob } from './blobs.ts'
import { createRateLimit, type RateLimitOptions } from './rate-limit/rate-limit.ts'
import { createUpstreamClient } from './client/client.ts'
import { createNetwork, type NetworkOptions } from './client/network.ts'
import { createBlobSizes } from './cache/blob-sizes.ts'
import { createManifestCache, type ManifestCacheOptions } from './cache/manifest-cache.ts'
import { createManifests, type FetchManifest, type Manifest } from './manifests.ts'
import { createBlobSlots, type BlobSlotsOptions } from './rate-limit/blob-slots.ts'
import { createHedge, hedged } from './resilience/hedging.ts'
import { CircuitOpen, withCircuitBreaker, type CircuitScope } from './resilience/circuit-breaker.ts'
import { ratesFor } from './rate-limit/quay-limits.ts'
import { createReferrersCache } from './cache/referrers-cache.ts'
import { createReferrers, type FetchReferrers } from './referrers.ts'
import { createResume, type ResumeOptions } from './resilience/resume.ts'
import { createRetry, retried } from './resilience/retry.ts'
import { createRobotPool, type RobotPool, type RobotPoolOptions } from './robot/robot-pool.ts'
import { createTagListCache, type TagListCacheOptions } from './cache/tag-list-cache.ts'
import { createStoredTier, type StoredTierOptions } from './cache/stored-tier.ts'
import { createTags, type FetchTags } from './tags.ts'
import type { Caller } from './request.ts'

export interface PipelineOptions {
  readonly upstream: URL
  /** PEM, beside the well-known authorities. */
  readonly upstreamCa: string | undefined
  /** `openshift/ci` */
  readonly upstreamRepository: string
  readonly maxUpstreamConnections: number
  readonly credentials: RobotPoolOptions['credentials']
  /** `quay`: what quay grants an address is not exceeded. */
  readonly upstreamLimits: 'quay' | 'none'
  /** Proxies that share one address. */
  readonly replicas: number
  /** Milliseconds after a first try in which a further one may begin. */
  readonly retryTimeoutMs: number
  /** Milliseconds that upstream may be silent within a body. */
  readonly stallTimeoutMs: number
  readonly manifestCacheBytes: number
  readonly tagTtlMs: number
  readonly staleIfErrorMs: number
  readonly blobDelivery: 'stream' | 'redirect'
  /**
   * Told of every manifest that upstream has answered with and whose bytes were verified, before anybody gets it.
   * @param tag undefined where it was asked for by digest
   */
  readonly learn: (tag: QciTag | undefined, manifest: Manifest) => Promise<void>
  /** Where several proxies share what upstream grants; each counts for itself unless given. */
  readonly tokenBucket?: RateLimitOptions['tokenBucket']
  /** `--cache-dir`; undefined where nothing is cached on a disk. */
  readonly diskCache?: StoredTierOptions | undefined
  readonly observe: PipelineObservers
}

export interface PipelineObservers {
  readonly refused: (reason: string) => void
  readonly request: NetworkOptions['observe']
  readonly retry: () => void
  readonly hedge: () => void
  readonly away: (scope: CircuitScope) => void
  readonly wait: RateLimitOptions['observeWait']
  readonly limited: RateLimitOptions['observeRefused']
  readonly paused: RateLimitOptions['observePause']
  readonly noPlace: BlobSlotsOptions['observeRefused']
  readonly resume: ResumeOptions['observe']
  readonly manifest: ManifestCacheOptions['observe']
  readonly tags: TagListCacheOptions['observe']
}

export interface ImageSource {
  readonly fetchManifest: FetchManifest
  readonly openBlob: OpenBlob
  readonly fetchTags: FetchTags
  readonly fetchReferrers: FetchReferrers
}

export interface Pipeline {
  readonly source: ImageSource
  /** Behind what people wait for, past every cache: what is fetched here is learnt, and served to nobody. */
  readonly background: Pick<ImageSource, 'fetchManifest' | 'fetchTags'>
  readonly robot: RobotPool
  readonly stats: ReturnType<typeof createManifestCache>['stats']
  readonly close: () => Promise<void>
}

export const createPipeline = (options: PipelineOptions): Pipeline => {
  const {
    upstreamRepository: repository,
    observe,
    manifestCacheBytes,
    tagTtlMs,
    staleIfErrorMs,
    blobDelivery,
  } = options
  const { send: sendNow, robot, close } = connect(options)
  const budget = budgetOf(options)
  const send = withCircuitBreaker({ send: budget(sendNow), observeRefused: observe.away })
  const retry = createRetry({
    isCircuitOpen: (error) => error instanceof CircuitOpen,
    maxElapsedMs: options.retryTimeoutMs,
    observeRetry: observe.retry,
  })
  const hedge = createHedge({ observe: observe.hedge })
  /** A bad moment of upstream does not end it. */
  const persistent = <Request extends Caller, Answer>(
    once: (request: Request) => Promise<Answer>,
    drop?: (answer: Answer) => unknown,
  ) => retried(retry, hedged(hedge, once, retried(retry, once), drop))
  const sizes = createBlobSizes()
  const tier = createStoredTier(options.diskCache, sizes.sizeOf)
  const learningAll = (fetch: FetchManifest) => learning(options.learn, sizes.learning(fetch))
  const fetchManifest = learningAll(tier.storingManifests(persistent(createManifests(send, repository))))
  const memory = createManifestCache({
    ...tier.forMemory(learningAll),
    fetch: fetchManifest,
    maxBytes: manifestCacheBytes,
    tagTtlMs,
    staleIfErrorMs,
    observe: observe.manifest,
  })
  const resumeOptions = {
    open: persistent(createBlobs({ send, repository, delivery: blobDelivery }), discardBlob),
    sizeOf: sizes.sizeOf,
    observe: observe.resume,
  }
  const fetchTags = persistent(createTags(send, repository))
  const fetchReferrers = persistent(createReferrers({ send, repository }))
  return {
    robot,
    stats: memory.stats,
    close,
    background: { fetchManifest, fetchTags },
    source: {
      fetchManifest: memory.fetchManifest,
      openBlob: tier.storingBlobs(inSlot(options, createResume(resumeOptions))),
      fetchTags: createTagListCache({ fetchTags, ttlMs: tagTtlMs, observe: observe.tags }),
      fetchReferrers: createReferrersCache({ fetchReferrers, ttlMs: tagTtlMs }),
    },
  }
}

const inSlot = ({ maxUpstreamConnections, observe }: PipelineOptions, open: OpenBlob): OpenBlob =>
  createBlobSlots({ maxPlaces: maxUpstreamConnections, observeRefused: observe.noPlace })(open)

const budgetOf = ({ observe, ...options }: PipelineOptions) =>
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

/** First the way to upstream, then the robot's login over it, then the client that has both. */
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
