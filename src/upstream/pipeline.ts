/**
 * The pipeline: every stage between the registry and upstream, in the one order in which a request passes them.
 *
 *     manifest    cache -> learn -> disk -> S3 -> retry -> hedge -> manifests -> circuit breaker -> rate limit -> client -> robot
 *     blob        disk -> S3 -> slot -> resume -> retry -> hedge -> blobs -> circuit breaker -> rate limit -> client -> robot
 *     tags        cache -> retry -> hedge -> tags -> circuit breaker -> rate limit -> client -> robot
 *     referrers   cache -> retry -> hedge -> referrers -> circuit breaker -> rate limit -> client -> robot
 *
 * - The cache comes first: a cached answer costs upstream nothing. With `--cache-dir`, blobs and manifests are on the disk as well: the
 *   first reader of a blob fills it, and later readers follow the fill or find the file. With `--cache-s3`, the fill comes from S3 if it is
 *   there.
 * - Learn: each verified manifest becomes facts before a client gets it.
 * - A blob keeps its slot through every break: a client with half of a blob does not wait behind clients that have none.
 * - Retry and hedge work on whole answers, not on heads: a manifest that is cut, stalls in the middle, or does not match its digest is
 *   fetched again, too.
 * - The circuit breaker comes before the rate limit: a request that is not sent does not wait for its turn.
 * - The rate limit counts the requests that are sent.
 */
import { isDigest, type QciTag } from '../oci/reference.ts'
import type { Blob, Caller, FetchManifest, ImageSource, Manifest, OpenBlob } from '../oci/image-source.ts'
import { noTracing, type StageOptions } from '../tracing/tracing.ts'
import { createBlobs } from './blobs.ts'
import { createS3Network } from './client/s3-network.ts'
import { tracedRoundTrip } from './client/traced-round-trip.ts'
import { createSender, type SenderObservers, type SenderOptions } from './sender.ts'
import { createBlobSizes } from './cache/blob-sizes.ts'
import { createManifestCache, type ManifestCache } from './cache/manifest-cache.ts'
import type { ManifestCacheOptions } from './cache/manifest-cache-options.ts'
import { createManifests } from './manifests.ts'
import { createBlobSlots, type BlobSlotsOptions } from './rate-limit/blob-slots.ts'
import { createHedge, hedged } from './resilience/hedging.ts'
import { CircuitOpen } from './resilience/upstream-circuits.ts'
import { createReferrersCache } from './cache/referrers-cache.ts'
import { createReferrers } from './referrers.ts'
import { createResume, type ResumeOptions } from './resilience/resume.ts'
import { createRetry, retried } from './resilience/retry.ts'
import type { RobotPool } from './robot/robot-pool.ts'
import { createTagListCache, type TagListCacheOptions } from './cache/tag-list-cache.ts'
import { createStoredTier, type StoredTier, type StoredTierOptions } from './cache/stored-tier.ts'
import { createTags } from './tags.ts'
import { UnreadableManifest } from './errors.ts'

export interface PipelineOptions extends SenderOptions {
  /** Milliseconds after a first try in which a further one may begin. */
  readonly retryTimeoutMs: number
  readonly manifestCacheBytes: number
  readonly tagTtlMs: number
  readonly staleIfErrorMs: number
  readonly blobDelivery: 'stream' | 'redirect'
  /**
   * Called for every manifest of upstream after its bytes were verified, and before any client gets it. Also for one that cannot be parsed,
   * and that no client gets.
   * @param tag undefined if it was requested by digest
   */
  readonly learn: (tag: QciTag | undefined, manifest: Pick<Manifest, 'digest' | 'content'>) => Promise<void>
  /** `--cache-dir` and `--cache-s3`; undefined if nothing is cached on a disk. */
  readonly diskCache?: StoredTierOptions | undefined
  /** PEM authorities of S3, in addition to the well-known ones. */
  readonly cacheS3Ca?: string | undefined
  readonly observe: PipelineObservers
}

export interface PipelineObservers extends SenderObservers {
  readonly retry: () => void
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
  const { upstreamRepository: repository, observe, tagTtlMs, tracing = noTracing } = options
  const { stage } = tracing
  const { send, robot, close } = createSender(options)
  const resilient = createResilience(options)
  const sizes = createBlobSizes()
  const s3 = connectToS3(options)
  const tier = createStoredTier(options.diskCache, sizes.sizeOf, tracedRoundTrip(tracing, s3.roundTrip))
  const learn = stage('learn digests', options.learn)
  const learningAll = (fetch: FetchManifest) => learning(learn, sizes.learning(fetch))
  const upstreamManifest = resilient('manifest', createManifests(send, repository))
  const fetchManifest = learningAll(stage('stored manifest', tier.storingManifests(upstreamManifest)))
  const manifests = createManifestCache({
    ...tier.forMemory(learningAll),
    fetch: fetchManifest,
    maxBytes: options.manifestCacheBytes,
    tagTtlMs,
    staleIfErrorMs: options.staleIfErrorMs,
    observe: observedManifests(options),
  })
  const fetchTags = resilient('tags', createTags(send, repository))
  const tagLists = createTagListCache({ fetchTags, ttlMs: tagTtlMs, observe: observe.tags })
  const fetchReferrers = resilient('referrers', createReferrers({ send, repository }))
  const openBlob = createResume({
    open: resilient('blob', createBlobs({ send, repository, delivery: deliveryOf(options) }), discardBlob),
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
      fetchManifest: stage('cached manifest', manifests.fetchManifest),
      openBlob: storedBlobs(options, tier, openBlob),
      fetchTags: stage('cached tags', tagLists),
      fetchReferrers: stage('cached referrers', createReferrersCache({ fetchReferrers, ttlMs: tagTtlMs })),
    },
  }
}

/** With S3, a blob that S3 does not have is streamed through a fill. Otherwise it would never get into S3. */
const deliveryOf = ({ blobDelivery, diskCache }: PipelineOptions) =>
  diskCache?.s3 === undefined ? blobDelivery : 'stream'

/** As many as S3 bodies at a time, and as many again. */
const maxS3Connections = 1024

const connectToS3 = ({ cacheS3Ca: ca, userAgent }: PipelineOptions) =>
  createS3Network({ ca, maxConnections: maxS3Connections, userAgent })

/** Wraps a fetch into a retry around a hedge. The second request of a hedge has retries of its own. */
const createResilience = ({ observe, retryTimeoutMs, tracing = noTracing }: PipelineOptions) => {
  const { stage } = tracing
  const retry = createRetry({
    isCircuitOpen: (error) => error instanceof CircuitOpen,
    maxElapsedMs: retryTimeoutMs,
    observeRetry: observe.retry,
  })
  const hedge = createHedge({ observe: observe.hedge })
  return <Request extends Caller, Answer>(
    name: string,
    fetchUpstream: (request: Request) => Promise<Answer>,
    discard?: (answer: Answer) => unknown,
  ) => {
    const fetch = stage(`fetch ${name}`, fetchUpstream)
    return stage(
      'retry',
      retried(retry, stage('hedge', hedged(hedge, fetch, retried(retry, fetch), discard))),
    )
  }
}

/** The stages of a blob around its resume. */
const storedBlobs = (
  { maxUpstreamConnections, observe, tracing = noTracing }: PipelineOptions,
  tier: StoredTier,
  openBlob: OpenBlob,
): OpenBlob => {
  const { stage } = tracing
  const withSlot = createBlobSlots({ maxSlots: maxUpstreamConnections, observeRefused: observe.slotRefused })
  const slotted = stage('blob slot', withSlot(stage('resume', openBlob, untilEndOfBody)), untilEndOfBody)
  return stage('stored blob', tier.storingBlobs(slotted), untilEndOfBody)
}

/** The span of a blob lasts until its last byte. */
const untilEndOfBody: StageOptions<OpenBlob> = {
  requestAttributes: ({ digest }) => ({ 'quay_proxy.digest': digest }),
  prolong: (blob, lasting) => {
    const { body } = blob
    if (body === undefined) return blob
    return {
      ...blob,
      body: {
        pipeTo: async (sink) => await lasting(async () => await body.pipeTo(sink)),
        discard: async () => await lasting(async () => await body.discard()),
      },
    }
  },
}

const observedManifests = ({
  observe,
  tracing = noTracing,
}: PipelineOptions): PipelineObservers['manifest'] => {
  if (tracing === noTracing) return observe.manifest
  return ({ source }) => {
    tracing.annotate({ 'quay_proxy.source': source })
    observe.manifest({ source })
  }
}

const learning =
  (learn: PipelineOptions['learn'], fetch: FetchManifest): FetchManifest =>
  async (request) => {
    const tag = isDigest(request.reference) ? undefined : request.reference
    try {
      const manifest = await fetch(request)
      await learn(tag, manifest)
      return manifest
    } catch (error) {
      if (error instanceof UnreadableManifest) await learn(tag, error)
      throw error
    }
  }

const discardBlob = async ({ body }: Blob): Promise<void> => await body?.discard()
