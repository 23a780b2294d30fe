/**
 * Every part of a proxy, made once from the Config and handed to those who need it. Nothing is started here.
 */
import { Registry } from 'prom-client'
import { kindOf } from './access/identity.ts'
import { createCarried } from './access/carried.ts'
import { createRestricted } from './access/restricted.ts'
import { createRules } from './access/rules.ts'
import type { Config } from './config/config.ts'
import type { SecretFiles } from './config/files.ts'
import { createAdmission } from './kubernetes/admission.ts'
import { createApiServer, type ApiServer } from './kubernetes/api-server.ts'
import { loadKubeConfig } from './kubernetes/kubeconfig.ts'
import { createReviewQueue } from './kubernetes/review-queue.ts'
import { createAccessReviewer } from './kubernetes/subject-access-review.ts'
import { expiryOf } from './kubernetes/token-form.ts'
import { createTokenReviewer } from './kubernetes/token-review.ts'
import { createKnownDigests, type KnownDigests } from './known-digests.ts'
import type { Logger } from './logging.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import type { RobotCredential } from './quay/robot/robot-credential.ts'
import type { Robot } from './quay/robot/robot.ts'
import { createSource } from './quay/source.ts'
import { anonymousIdentity } from './registry/anonymous.ts'
import { createDenied, createPredecessorDenied } from './registry/denied.ts'
import { createLogin } from './registry/login.ts'
import { createKeys } from './registry/signing-keys.ts'
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
  const watch = <Value>(file: string, { paths, parse }: SecretFiles<Value>) => {
    const watched = watchFiles({
      paths,
      parse,
      onError: (error) => {
        metrics.reloadFailures.inc({ file })
        logger.error({ err: error, file }, 'changed and cannot be used: the old content stays in force')
      },
    })
    watched.onChange(() => logger.info({ file }, 'reloaded'))
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
}

/** @throws {Error} where a file, or app.ci's kubeconfig, cannot be used; nothing is left open then */
export const createParts = (config: Config, logger: Logger, isStopping: () => boolean): Made => {
  const metrics = createMetrics(new Registry())
  const { apiServer, reviewToken, policy, judgeBeside, knownDigests, carry, isRestricted } = createAccess(
    config,
    logger,
    metrics,
  )
  const files = watchAll(config, logger, metrics)
  const { robot, source, close: closeSource } = connectSource({ config, logger, metrics, files })
  const keys = createKeys({ file: files.tokenSecret, honouredMs: config.tokenValidityMs })
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
    digests: knownDigests.digests,
    expiryOf,
    carry,
    cursors: createTagCursors(keys),
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
const connectSource = ({ config, logger, metrics, files }: Making) => {
  const made = createSource({
    ...config,
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

/** Who they are and what they may. */
const createAccess = (config: Config, logger: Logger, metrics: Metrics) => {
  const kubeConfig = loadKubeConfig(config.kubeconfig)
  for (const warning of kubeConfig.warnings) logger.warn(warning)
  const apiServer = createApiServer({ kubeConfig })
  const isRestricted = createRestricted(config.restrictedNamespaces)
  const { imageStreams } = config
  const knownDigests = createKnownDigests({ imageStreams, kubeConfig, isRestricted, logger, metrics })
  const observe =
    (kind: string) =>
    ({ outcome, source }: { outcome: string; source: string }) => {
      if (source === 'asked') metrics.reviews.inc({ kind, outcome })
      else metrics.cacheHits.inc({ cache: kind, outcome, source })
    }
  const graceMs = config.authorizationGraceMs
  const tokens = queueOf('TokenReview', metrics)
  const access = queueOf('SubjectAccessReview', metrics)
  // Anybody may ask as nobody, for as many names as they can think of: that is not to be in the way of those who are known.
  const anonymousAccess = queueOf('SubjectAccessReview of system:anonymous', metrics, 8)
  const reviewToken = createTokenReviewer({
    ask: async (spec, turn) => await tokens(turn, async () => await apiServer.reviewToken(spec)),
    admit: createAdmission({ observeLimited: (limit) => metrics.loginsLimited.inc({ limit }) }).admit,
    audiences: config.tokenAudiences,
    format: config.tokenFormat,
    identityTtlMs: config.identityTtlMs,
    graceMs,
    observe: observe('TokenReview'),
  })
  const reviews = createAccessReviewer({
    ask: async (spec, asker) => {
      const queue = spec.user === anonymousIdentity.user.username ? anonymousAccess : access
      return await queue({ asker }, async () => await apiServer.reviewAccess(spec))
    },
    allowTtlMs: config.allowTtlMs,
    denyTtlMs: config.denyTtlMs,
    graceMs,
    observe: observe('SubjectAccessReview'),
  })
  const { seenIn } = knownDigests.digests
  const { carry, isCarried } = createCarried()
  return {
    apiServer,
    reviewToken,
    knownDigests,
    carry,
    isRestricted,
    ...createRules({ ...config, reviews, seenIn, isCarried, isRestricted }),
  }
}

/** More would only wait at the API server instead of here: it has a few hundred places for all of its clients. */
const maxReviewsInFlight = 64

const queueOf = (lane: string, metrics: Metrics, max = maxReviewsInFlight) =>
  createReviewQueue({
    max,
    maxQueued: 256,
    maxWaitMs: 1000,
    observeInFlight: (change) => metrics.reviewsInFlight.inc({ lane }, change),
    observeShed: () => metrics.reviewsShed.inc({ lane }),
  })
