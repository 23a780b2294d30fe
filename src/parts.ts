/**
 * Every part of a proxy, made once from the Config and handed to those who need it. Nothing is started here.
 */
import { Registry } from 'prom-client'
import { createDigestIndex } from './access/digests.ts'
import { createPolicy } from './access/policy.ts'
import { createRestricted } from './access/restricted.ts'
import type { Config } from './config/config.ts'
import type { SecretFiles } from './config/files.ts'
import { createApiServer, loadKubeConfig, type ApiServer } from './kubernetes/api-server.ts'
import { createAccessReviewer } from './kubernetes/subject-access-review.ts'
import { createTokenReviewer, expiryOf } from './kubernetes/token-review.ts'
import type { Logger } from './logging.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createBlobs } from './quay/blobs.ts'
import { createUpstream } from './quay/dispatcher.ts'
import { createManifests } from './quay/manifests.ts'
import { createReferrers } from './quay/referrers.ts'
import { createRobot, type Robot, type RobotCredential } from './quay/robot.ts'
import { createTags } from './quay/tags.ts'
import { createAuthenticate } from './registry/authentication.ts'
import { createChallenge } from './registry/credential.ts'
import { createDenied } from './registry/denied.ts'
import { createRobotTokens } from './registry/robot-tokens.ts'
import { createKeys } from './registry/signing-keys.ts'
import { createTagCursors } from './registry/tag-cursors.ts'
import type { Parts } from './server.ts'
import { watchFiles, type WatchedFiles } from './watched-files.ts'

export interface Made {
  readonly parts: Parts
  readonly robot: Robot
  readonly apiServer: ApiServer
  readonly files: Files
  readonly close: () => Promise<void>
}

export interface Files {
  readonly robot: WatchedFiles<RobotCredential>
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
  const { apiServer, reviewToken, policy, digests } = createAccess(config, metrics)
  const files = watchAll(config, logger, metrics)
  const { robot, source, close: closeSource } = createSource({ config, logger, metrics, files })
  const keys = createKeys({ file: files.tokenSecret, honouredMs: config.tokenValidityMs })
  const { origin, host } = config.exposed
  const challenge = createChallenge(`${origin}/v2/auth`, host)
  const validitySeconds = Math.floor(config.tokenValidityMs / 1000)
  const robotTokens = createRobotTokens({ keys, issuer: origin, validitySeconds })
  const robotCredential = files.robot.current
  const parts: Parts = {
    ...source,
    logger,
    metrics,
    challenge,
    policy,
    digests,
    robotTokens,
    expiryOf,
    cursors: createTagCursors(keys),
    denied: createDenied(config.qciNamespace, policy.isRestricted),
    monorepo: config.upstreamRepository,
    authenticate: createAuthenticate({ challenge, reviewToken, robotTokens, robotCredential, host }),
    observe: ({ allowed, rule, source: from }) =>
      metrics.decisions.inc({ rule: allowed ? rule : 'denied', source: from }),
    observeStreams: (change) => metrics.streamsInFlight.inc(change),
    tls: files.tls?.current(),
    notReady: () => [
      ...(isStopping() ? ['shutting down'] : []),
      ...(robot.tried() ? [] : ['upstream was not asked yet']),
      ...(apiServer.reached() ? [] : ['the API server was not reached yet']),
    ],
  }
  const close = async () => {
    for (const file of Object.values(files)) file?.close()
    await Promise.all([closeSource(), apiServer.close()])
  }
  return { parts, robot, apiServer, files, close }
}

/** Where the bytes come from. */
const createSource = ({ config, logger, metrics, files }: Making) => {
  const onRefused = (reason: string) => {
    metrics.robotRefused.inc()
    logger.error({ reason }, 'upstream refuses the robot: nobody can pull')
  }
  const robot = createRobot({
    credential: files.robot.current,
    upstream: config.upstream,
    repository: config.upstreamRepository,
    get: async (url, authorization) => await upstream.get(url, authorization),
    onRefused,
  })
  const upstream = createUpstream({
    origin: config.upstream,
    maxConnections: config.maxUpstreamConnections,
    robot,
    onRefused,
    observe: ({ kind, status }) => metrics.upstreamRequests.inc({ kind, status }),
    ...(config.upstreamCa === undefined ? {} : { ca: config.upstreamCa }),
  })
  files.robot.onChange(robot.renew)
  const { ask } = upstream
  const repository = config.upstreamRepository
  return {
    robot,
    close: upstream.close,
    source: {
      fetchManifest: createManifests(ask, repository),
      openBlob: createBlobs(ask, repository),
      fetchTags: createTags(ask, repository),
      fetchReferrers: createReferrers(ask, repository),
    },
  }
}

/** Who they are and what they may. */
const createAccess = (config: Config, metrics: Metrics) => {
  const apiServer = createApiServer({ kubeConfig: loadKubeConfig(config.kubeconfig) })
  const isRestricted = createRestricted(config.restrictedNamespaces)
  const digests = createDigestIndex({ isRestricted })
  const observe =
    (kind: string) =>
    ({ outcome, source }: { outcome: string; source: string }) => {
      if (source === 'asked') metrics.reviews.inc({ kind, outcome })
      else metrics.cacheHits.inc({ cache: kind, outcome, source })
    }
  const graceMs = config.authorizationGraceMs
  const reviewToken = createTokenReviewer({
    ask: apiServer.reviewToken,
    audiences: config.tokenAudiences,
    identityTtlMs: config.identityTtlMs,
    graceMs,
    observe: observe('TokenReview'),
  })
  const reviews = createAccessReviewer({
    ask: apiServer.reviewAccess,
    allowTtlMs: config.allowTtlMs,
    denyTtlMs: config.denyTtlMs,
    graceMs,
    observe: observe('SubjectAccessReview'),
  })
  const { qciNamespace, unknownDigests } = config
  const policy = createPolicy({ reviews, seenIn: digests.seenIn, isRestricted, qciNamespace, unknownDigests })
  return { apiServer, reviewToken, policy, digests }
}
