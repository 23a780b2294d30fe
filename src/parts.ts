/**
 * Every part of a proxy, made once from the Config and handed to those who need it. Nothing is started here.
 */
import { Registry } from 'prom-client'
import { kindOf } from './access/identity.ts'
import { createRestricted } from './access/restricted.ts'
import { createRules } from './access/rules.ts'
import type { Config } from './config/config.ts'
import type { SecretFiles } from './config/files.ts'
import { createAdmission } from './kubernetes/admission.ts'
import { createApiServer, type ApiServer } from './kubernetes/api-server.ts'
import { loadKubeConfig } from './kubernetes/kubeconfig.ts'
import { createLane } from './kubernetes/lane.ts'
import { createAccessReviewer } from './kubernetes/subject-access-review.ts'
import { createTokenReviewer, expiryOf } from './kubernetes/token-review.ts'
import { createKnownDigests, type KnownDigests, type KnownDigestsUpstream } from './known-digests.ts'
import type { Logger } from './logging.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createTagOwner } from './oci/qci-tag.ts'
import type { RobotCredential } from './secrets/robot-credential.ts'
import type { Robot } from './quay/robot/robot.ts'
import { createSource, type MadeSource } from './quay/source.ts'
import type { Digest } from './reference.ts'
import { RegistryError } from './errors.ts'
import { parseManifest } from './oci/manifest.ts'
import { anonymousIdentity } from './registry/anonymous.ts'
import { createDenied, createPredecessorDenied } from './registry/denied.ts'
import { createLogin } from './registry/login.ts'
import { createPurposeKeys } from './registry/signing-keys.ts'
import { createTagCursors } from './registry/tag-cursors.ts'
import type { Parts } from './server.ts'
import { createSourceGauges, createSourceMetrics } from './source-metrics.ts'
import { watchFiles, type WatchedFiles } from './watched-files.ts'

export interface Made {
  readonly parts: Parts
  readonly robot: Robot
  readonly apiServer: ApiServer
  readonly knownDigests: KnownDigests
  readonly files: Files
  readonly close: () => Promise<void>
}

export interface Files {
  readonly robot: WatchedFiles<readonly RobotCredential[]>
  readonly tokenSecret: WatchedFiles<readonly Uint8Array[]>
  readonly tls: WatchedFiles<{ cert: string; key: string }> | undefined
}

const watchAll = (config: Config, logger: Logger, metrics: Metrics): Files => {
  const watch = <Value>(file: string, { paths, parse, cautions }: SecretFiles<Value>) => {
    // Of the start they were told with the configuration.
    let told: readonly string[] = []
    const watched = watchFiles({
      paths,
      parse: (contents) => {
        const value = parse(contents)
        told = cautions(contents)
        return value
      },
      onError: (error) => {
        metrics.reloadFailures.inc({ file })
        logger.error({ err: error, file }, 'changed and cannot be used: the old content stays in force')
      },
    })
    watched.onChange(() => {
      logger.info({ file }, 'reloaded')
      for (const caution of told) logger.warn({ file }, caution)
    })
    return watched
  }
  return {
    robot: watch('robot', config.robot),
    tokenSecret: watch('token secret', config.tokenSecret),
    tls: config.tls === undefined ? undefined : watch('tls', config.tls),
  }
}

interface Making {
  readonly config: Config
  readonly logger: Logger
  readonly metrics: Metrics
  readonly files: Files
  readonly knownDigests: KnownDigests
}

/** @throws {Error} where a file, or app.ci's kubeconfig, cannot be used; nothing is left open then */
export const createParts = (config: Config, logger: Logger, isStopping: () => boolean): Made => {
  const metrics = createMetrics(new Registry())
  const { apiServer, reviewToken, policy, judgeBeside, knownDigests, isRestricted } = createAccess(
    config,
    logger,
    metrics,
  )
  const files = watchAll(config, logger, metrics)
  const made = connectSource({ config, logger, metrics, files, knownDigests })
  const { robot, source, close: closeSource } = made
  knownDigests.connect(readsOf(made))
  const keys = createPurposeKeys(files.tokenSecret.current)
  const login = createLogin({
    exposed: config.exposed,
    keys,
    validityMs: config.tokenValidityMs,
    allowAnonymous: config.allowAnonymous,
    reviewToken,
    robotCredentials: files.robot.current,
  })
  const denied =
    judgeBeside === undefined
      ? createDenied(config.qciNamespace, isRestricted)
      : createPredecessorDenied(config.qciNamespace)
  const parts: Parts = {
    ...source,
    ...login,
    logger,
    metrics,
    policy,
    judgeBeside,
    expiryOf,
    cursors: createTagCursors(keys.listCursors),
    ownerOf: createTagOwner(isRestricted),
    denied: login.anonymous?.denied(denied) ?? denied,
    monorepo: config.upstreamRepository,
    observe: ({ allowed, rule, source: from }, identity) =>
      metrics.decisions.inc({ rule: allowed ? rule : 'denied', source: from, kind: kindOf(identity) }),
    observeStreams: (change) => metrics.streamsInFlight.inc(change),
    observeShed: (reason) => metrics.shed.inc({ reason }),
    tls: files.tls?.current(),
    notReady: () => [
      ...(isStopping() ? ['shutting down'] : []),
      ...(robot.tried() ? [] : ['upstream was not asked yet']),
      ...(apiServer.reached() ? [] : ['the API server was not reached yet']),
      ...knownDigests.notReady(),
    ],
  }
  const close = async () => {
    for (const file of Object.values(files)) file?.close()
    await Promise.all([closeSource(), apiServer.close(), knownDigests.close()])
  }
  return { parts, robot, apiServer, knownDigests, files, close }
}

/** Where the bytes come from. */
const connectSource = ({ config, logger, metrics, files, knownDigests }: Making) => {
  const made = createSource({
    ...config,
    learn: async (tag, { digest, content }) => {
      const children = content === undefined ? undefined : parseManifest(content)
      await knownDigests.learn(tag, digest, typeof children === 'string' ? undefined : children)
    },
    credentials: files.robot.current,
    observe: {
      refused: (reason) => {
        metrics.robotRefused.inc()
        logger.error({ reason }, 'upstream refuses a robot')
      },
      request: (labels) => metrics.upstreamRequests.inc(labels),
      ...createSourceMetrics(metrics.registry),
    },
  })
  createSourceGauges(metrics.registry, made.stats)
  files.robot.onChange(made.robot.renew)
  return made
}

/** What is learnt of upstream for a requester, and behind what people wait for. */
const readsOf = ({ source, background }: MadeSource): KnownDigestsUpstream => ({
  fetchManifest: async (reference, asker) =>
    await digestOf(source.fetchManifest({ method: 'GET', reference, accept: undefined, asker })),
  fetchPage: async (after, asker) => await source.fetchTags({ after, asker }),
  fetchManifestInBackground: async (reference, signal) =>
    await digestOf(background.fetchManifest({ ...indexRequest, method: 'GET', reference, signal })),
  fetchPageInBackground: async (after, signal) =>
    await background.fetchTags({ ...indexRequest, after, signal }),
})

const indexRequest = { accept: undefined, asker: 'the restricted index' } as const

/** Undefined where upstream has none. */
const digestOf = async (fetching: Promise<{ readonly digest: Digest }>): Promise<Digest | undefined> => {
  try {
    return (await fetching).digest
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'MANIFEST_UNKNOWN') return undefined
    throw error
  }
}

/** Who they are and what they may. */
const createAccess = (config: Config, logger: Logger, metrics: Metrics) => {
  const kubeConfig = loadKubeConfig(config.kubeconfig)
  const apiServer = createApiServer({ kubeConfig })
  const isRestricted = createRestricted(config.restrictedNamespaces)
  const ownerOf = createTagOwner(isRestricted)
  // Each tells the other what it learns.
  const shared: SharedState = composeSharedState({
    config,
    password: files.sharedStatePassword?.current,
    logger,
    metrics,
    apply: (facts) => knownDigests.facts.apply(facts),
    snapshot: () => knownDigests.facts.snapshot(),
  })
  const knownDigests = createKnownDigests({
    ...config,
    kubeConfig,
    isRestricted,
    locate: (tag) => {
      const owner = ownerOf(tag)
      return owner.by === 'image-stream'
        ? { ...owner, isRestricted: isRestricted(owner.imageStream.namespace) }
        : owner
    },
    monorepos: [...new Set([config.exposed.host, config.upstream.host, ...usualHosts])].map(
      (host) => `${host}/${config.upstreamRepository}`,
    ),
    shared,
    logger,
    metrics,
  })
  const observe =
    (kind: string) =>
    ({ outcome, source }: { outcome: string; source: string }) => {
      if (source === 'asked') metrics.reviews.inc({ kind, outcome })
      else metrics.cacheHits.inc({ cache: kind, outcome, source })
    }
  const graceMs = config.authorizationGraceMs
  const tokens = laneOf('TokenReview', metrics)
  const access = laneOf('SubjectAccessReview', metrics)
  // Anybody may ask as nobody, for as many names as they can think of: that is not to be in the way of those who are known.
  const anonymousAccess = laneOf('SubjectAccessReview of system:anonymous', metrics, 8)
  const reviewToken = createTokenReviewer({
    ask: async (spec, isFamiliar) => await tokens(async () => await apiServer.reviewToken(spec), isFamiliar),
    admit: createAdmission({ observeLimited: (limit) => metrics.loginsLimited.inc({ limit }) }),
    audiences: config.tokenAudiences,
    identityTtlMs: config.identityTtlMs,
    graceMs,
    observe: observe('TokenReview'),
  })
  const reviews = createAccessReviewer({
    ask: async (spec) => {
      const lane = spec.user === anonymousIdentity.user.username ? anonymousAccess : access
      return await lane(async () => await apiServer.reviewAccess(spec))
    },
    allowTtlMs: config.allowTtlMs,
    denyTtlMs: config.denyTtlMs,
    graceMs,
    observe: observe('SubjectAccessReview'),
  })
  return {
    apiServer,
    reviewToken,
    knownDigests,
    isRestricted,
    ...createRules({
      ...config,
      reviews,
      knowledge: knownDigests.knowledge,
      lookFurther: knownDigests.lookFurther,
      isRestricted,
    }),
  }
}

/** Whose pull specs promotion writes into ImageStreams, whatever this proxy and its upstream are called. */
const usualHosts = ['quay-proxy.ci.openshift.org', 'quay.io']

/** More would only wait at the API server instead of here: it has a few hundred places for all of its clients. */
const maxReviewsInFlight = 64

const laneOf = (lane: string, metrics: Metrics, max = maxReviewsInFlight) =>
  createLane({
    max,
    maxQueued: 256,
    maxWaitMs: 1000,
    observeInFlight: (change) => metrics.reviewsInFlight.inc({ lane }, change),
    observeShed: () => metrics.reviewsShed.inc({ lane }),
  })
