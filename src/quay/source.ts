/**
 * Where the bytes come from: every stage between the registry and upstream, in the one order in which a request passes them.
 *
 *     manifest    memory -> retry -> hedge -> manifests -> circuit breaker -> budget -> dispatcher
 *     blob        places -> resume -> retry -> hedge -> blobs -> circuit breaker -> budget -> dispatcher
 *     tags        memory -> retry -> hedge -> tags -> circuit breaker -> budget -> dispatcher
 *     referrers   memory -> retry -> hedge -> referrers -> circuit breaker -> budget -> dispatcher
 *
 * - Memory first: what is known costs upstream nothing. A local cache of blobs would stand in the same place: an OpenBlob around an
 *   OpenBlob that fills while the first reader streams, and is joined by later ones.
 * - A place is kept through every break: who has half of a blob is not behind those who have none.
 * - Retry and hedge around whole answers, not heads: a manifest that is cut, hangs in the middle, or does not match its digest is
 *   asked for again as well.
 * - Circuit breaker outside of the budget: what is not asked does not wait for its turn.
 * - The budget counts what really leaves.
 */
import { isDigest, type QciTag } from '../reference.ts'
import { createBlobs, type Blob, type OpenBlob } from './blobs.ts'
import { createBudget, type BudgetOptions } from './budget/budget.ts'
import { createUpstream, type Upstream, type UpstreamOptions, type Waiter } from './dispatcher.ts'
import { createBlobSizes } from './memory/blob-sizes.ts'
import { createManifestMemory, type ManifestMemoryOptions } from './memory/manifest-memory.ts'
import { createManifests, type FetchManifest, type Manifest } from './manifests.ts'
import { createPlaces, type PlacesOptions } from './budget/places.ts'
import { createHedge, hedged } from './trouble/hedge.ts'
import { CircuitOpen, createCircuitBreaker, type CircuitScope } from './trouble/circuit-breaker.ts'
import { ratesFor } from './budget/quay-limits.ts'
import { createReferrersMemory } from './memory/referrers-memory.ts'
import { createReferrers, type FetchReferrers } from './referrers.ts'
import { createResume, type ResumeOptions } from './trouble/resume.ts'
import { createRetry, retried } from './trouble/retry.ts'
import type { Robot } from './robot/robot.ts'
import { createRobots, type Robots, type RobotsOptions } from './robot/robots.ts'
import { createTagMemory, type TagMemoryOptions } from './memory/tag-memory.ts'
import { createTags, type FetchTags } from './tags.ts'

export interface SourceOptions {
  readonly upstream: URL
  /** PEM, beside the well-known authorities. */
  readonly upstreamCa: string | undefined
  /** `openshift/ci` */
  readonly upstreamRepository: string
  readonly maxUpstreamConnections: number
  readonly credentials: RobotsOptions['credentials']
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
  readonly tokenBucket?: BudgetOptions['tokenBucket']
  readonly observe: SourceObservers
}

export interface SourceObservers {
  readonly refused: (reason: string) => void
  readonly request: UpstreamOptions['observe']
  readonly retry: () => void
  readonly hedge: () => void
  readonly away: (scope: CircuitScope) => void
  readonly wait: BudgetOptions['observeWait']
  readonly limited: BudgetOptions['observeRefused']
  readonly paused: BudgetOptions['observePause']
  readonly noPlace: PlacesOptions['observeRefused']
  readonly resume: ResumeOptions['observe']
  readonly manifest: ManifestMemoryOptions['observe']
  readonly tags: TagMemoryOptions['observe']
}

export interface Source {
  readonly fetchManifest: FetchManifest
  readonly openBlob: OpenBlob
  readonly fetchTags: FetchTags
  readonly fetchReferrers: FetchReferrers
}

export interface MadeSource {
  readonly source: Source
  /** Behind what people wait for, past every cache: what is fetched here is learnt, and served to nobody. */
  readonly background: Pick<Source, 'fetchManifest' | 'fetchTags'>
  readonly robot: Robot
  readonly stats: ReturnType<typeof createManifestMemory>['stats']
  readonly close: () => Promise<void>
}

export const createSource = (options: SourceOptions): MadeSource => {
  const {
    upstreamRepository: repository,
    observe,
    manifestCacheBytes,
    tagTtlMs,
    staleIfErrorMs,
    blobDelivery,
  } = options
  const { upstream, robot } = connect(options)
  const budget = budgetOf(options)
  const ask = createCircuitBreaker({ ask: budget(upstream.ask), observeRefused: observe.away })
  const retry = createRetry({
    isAway: (error) => error instanceof CircuitOpen,
    withinMs: options.retryTimeoutMs,
    observeRetry: observe.retry,
  })
  const hedge = createHedge({ observe: observe.hedge })
  /** A bad moment of upstream does not end it. */
  const persistent = <Request extends Waiter, Answer>(
    once: (request: Request) => Promise<Answer>,
    drop?: (answer: Answer) => unknown,
  ) => retried(retry, hedged(hedge, once, retried(retry, once), drop))
  const inPlaces = createPlaces({
    maxPlaces: options.maxUpstreamConnections,
    observeRefused: observe.noPlace,
  })
  const sizes = createBlobSizes()
  const fetchManifest = learning(options.learn, sizes.learning(persistent(createManifests(ask, repository))))
  const memory = createManifestMemory({
    fetch: fetchManifest,
    maxBytes: manifestCacheBytes,
    tagTtlMs,
    staleIfErrorMs,
    observe: observe.manifest,
  })
  const fetchTags = persistent(createTags(ask, repository))
  const fetchReferrers = persistent(createReferrers({ ask, repository }))
  return {
    robot,
    stats: memory.stats,
    close: upstream.close,
    background: { fetchManifest, fetchTags },
    source: {
      fetchManifest: memory.fetchManifest,
      openBlob: inPlaces(
        createResume({
          open: persistent(createBlobs({ ask, repository, delivery: blobDelivery }), discardBlob),
          sizeOf: sizes.sizeOf,
          observe: observe.resume,
        }),
      ),
      fetchTags: createTagMemory({ fetchTags, ttlMs: tagTtlMs, observe: observe.tags }),
      fetchReferrers: createReferrersMemory({ fetchReferrers, ttlMs: tagTtlMs }),
    },
  }
}

const budgetOf = ({ observe, ...options }: SourceOptions) =>
  createBudget({
    rates: options.upstreamLimits === 'quay' ? ratesFor(options.replicas) : undefined,
    observeWait: observe.wait,
    observeRefused: observe.limited,
    observePause: observe.paused,
    maxInFlight: options.maxUpstreamConnections,
    tokenBucket: options.tokenBucket,
  })

const learning =
  (learn: SourceOptions['learn'], fetch: FetchManifest): FetchManifest =>
  async (request) => {
    const manifest = await fetch(request)
    await learn(isDigest(request.reference) ? undefined : request.reference, manifest)
    return manifest
  }

const discardBlob = async ({ body }: Blob): Promise<void> => await body?.discard()

/** The robot asks over the connections that its own token is put on. */
const connect = (options: SourceOptions) => {
  const { upstream: origin, upstreamRepository: repository, upstreamCa: ca, credentials, observe } = options
  const hedge = createHedge({ observe: observe.hedge })
  const robot: Robots = createRobots({
    credentials,
    upstream: origin,
    repository,
    get: async (url, authorization) =>
      await hedge({
        ask: async () => await upstream.get(url, authorization),
        askBeside: async () => await upstream.get(url, authorization),
      }),
    retry: createRetry(),
    onRefused: observe.refused,
  })
  const upstream: Upstream = createUpstream({
    origin,
    maxConnections: options.maxUpstreamConnections,
    ...(ca === undefined ? {} : { ca }),
    robot,
    onRefused: observe.refused,
    observe: observe.request,
    timeouts: { body: options.stallTimeoutMs },
  })
  return { upstream, robot }
}
