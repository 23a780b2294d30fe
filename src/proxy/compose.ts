/**
 * The composition root: every component of a proxy, created once from the Config. Nothing is started here.
 */
import { Registry } from 'prom-client'
import { createAuditMode } from '../audit/audit-mode.ts'
import type { Policy } from '../access/policy.ts'
import type { Config } from '../config/config.ts'
import type { ApiServer } from '../kubernetes/api-server.ts'
import { expiryOf } from '../kubernetes/token-form.ts'
import type { ReviewToken } from '../kubernetes/token-review.ts'
import type { Digests } from './compose-digests.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { createRequestObservers } from '../telemetry/observers.ts'
import { composeAccess } from './compose-access.ts'
import { composeMetrics } from './compose-metrics.ts'
import { composeExplanation, createHealth } from './compose-explanation.ts'
import { composeMirror } from './compose-mirror.ts'
import { composeProbes } from './compose-probes.ts'
import { composeRemovals } from './compose-removals.ts'
import { composeS3, type ComposedS3 } from './compose-s3.ts'
import { composeStorage } from './compose-storage.ts'
import { composeUpstream, readsOf } from './compose-upstream.ts'
import { watchFilesOfConfig, type ReloadedFiles } from './reloaded-files.ts'
import type { RobotPool } from '../upstream/robot/robot-pool.ts'
import { createDenialMessage } from '../registry/denial.ts'
import { createLogin } from '../registry/authentication/compose.ts'
import { createPurposeKeys, type PurposeKeys } from '../registry/authentication/signing-keys.ts'
import { createTagCursors } from '../registry/tags/tag-cursors.ts'
import type { HealthOptions } from '../server/health.ts'
import type { ServerOptions, TelemetryOptions } from '../server/server.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import type { RemovalInbox } from '../storage/removals.ts'
import type { Storage } from '../storage/storage.ts'
import { noTracing, type Tracing } from '../tracing/tracing.ts'

export interface Components {
  readonly server: ServerOptions
  readonly robot: RobotPool
  readonly apiServer: ApiServer
  readonly digests: Digests
  readonly shared: SharedState
  /** Undefined without `--cache-dir`. */
  readonly storage: Storage | undefined
  /** Undefined without `--cache-dir`. */
  readonly removals: RemovalInbox | undefined
  /** Undefined without `--cache-s3`. */
  readonly s3: ComposedS3 | undefined
  readonly files: ReloadedFiles
  readonly close: () => Promise<void>
}

/** @throws {Error} if a file, or the kubeconfig of app.ci, cannot be used; nothing is left open then */
export const compose = (
  config: Config,
  logger: Logger,
  isStopping: () => boolean,
  tracing: Tracing = noTracing,
): Components => {
  const metrics = createMetrics(new Registry())
  const files = watchFilesOfConfig(config, logger, metrics)
  const health = createHealth(config)
  const access = composeAccess({ config, files, logger, metrics, tracing, apiServerHealth: health.apiServer })
  const { apiServer, digests, shared } = access
  const cache = composeStorage(config, logger, metrics)
  const storage = cache?.storage
  const s3 = composeS3({ config, files, storage, logger, metrics, tracing })
  const pipeline = composeUpstream(
    { config, logger, metrics, files, digests, shared, cache, s3, tracing },
    health.upstream,
  )
  const { robot } = pipeline
  digests.connect(readsOf(pipeline))
  const mirror = composeMirror({ config, reviews: access.reviews, metrics, tracing })
  const probes = composeProbes({ robot, apiServer, digests, shared, storage, s3 }, isStopping)
  const processMetrics = composeMetrics({ metrics, files, robot, health: probes })
  const server = serverOptionsOf({
    config,
    logger,
    metrics,
    files,
    access,
    source: pipeline.source,
    probes,
    explanation: composeExplanation({ config, access, health, storage, s3, mirror }),
    mirror,
    tracing,
  })
  const removals = composeRemovals({ config, s3, storage, forget: pipeline.forget, logger })
  const components = { robot, apiServer, digests, shared, storage, removals, s3, files }
  const close = async () => {
    processMetrics.close()
    await mirror?.mirror.close()
    await closeInOrder(components, pipeline)
  }
  return { server, ...components, close }
}

interface ServerParts extends Pick<ServerOptions, 'explanation' | 'mirror'> {
  readonly config: Config
  readonly logger: Logger
  readonly metrics: Metrics
  readonly files: ReloadedFiles
  readonly access: ReturnType<typeof composeAccess>
  readonly source: Omit<ServerOptions['source'], 'monorepo'>
  readonly probes: HealthOptions
  readonly tracing: Tracing
}

const serverOptionsOf = ({
  config,
  logger,
  metrics,
  files,
  access,
  source,
  probes,
  explanation,
  mirror,
  tracing,
}: ServerParts): ServerOptions => {
  const keys = createPurposeKeys(files.tokenSecret.current)
  const login = loginOf(config, keys, access.reviewToken, files.robot.current)
  const audit = auditModeOf(config, access, logger, metrics)
  const denied = audit?.denied ?? createDenialMessage(config.qciNamespace, access.isRestricted)
  const { trustedProxies, proxyProtocol } = config
  return {
    connections: { trustedProxies, proxyProtocol, tls: files.tls?.current() },
    login: { ...login, authenticate: tracing.stage('authentication', login.authenticate), expiryOf },
    access: {
      policy: tracedPolicy(audit?.policy ?? access.policy, tracing),
      ownerOf: access.ownerOf,
      exposedHost: config.exposed.host,
      cursors: createTagCursors(keys.listCursors),
      denied: login.anonymous?.denied(denied) ?? denied,
    },
    source: { ...source, monorepo: config.upstreamRepository },
    telemetry: { logger, metrics, ...createRequestObservers(metrics), traces: tracesOf(config, tracing) },
    health: probes,
    explanation,
    mirror,
    helpUrl: config.helpUrl,
    plugins: audit === undefined ? [] : [audit.plugin],
  }
}

const closeInOrder = async (
  { apiServer, digests, shared, storage, removals, s3, files }: Omit<Components, 'server' | 'close'>,
  pipeline: { readonly close: () => Promise<void> },
): Promise<void> => {
  for (const file of Object.values(files)) file?.close()
  await Promise.all([pipeline.close(), apiServer.close(), digests.close(), removals?.close()])
  // Before the disk, from which it uploads.
  await s3?.tier.close()
  await storage?.close()
  // Last, because the others still publish facts until they are closed.
  await shared.close()
}

const tracedPolicy = (policy: Policy, { stage }: Tracing): Policy => ({
  ...policy,
  decide: stage('authorization', policy.decide),
})

const tracesOf = ({ exposed }: Config, tracing: Tracing): TelemetryOptions['traces'] =>
  tracing === noTracing ? undefined : { tracing, serverAddress: exposed.hostname }

/** Undefined unless `--authorization=audit`. */
const auditModeOf = (
  { authorization, qciNamespace }: Config,
  access: ReturnType<typeof composeAccess>,
  logger: Logger,
  { registry }: Metrics,
) => (authorization === 'audit' ? createAuditMode({ ...access, qciNamespace, logger, registry }) : undefined)

const loginOf = (
  { exposed, clusterUrl, tokenValidityMs, allowAnonymous }: Config,
  keys: PurposeKeys,
  reviewToken: ReviewToken,
  robotCredentials: ReloadedFiles['robot']['current'],
) =>
  createLogin({
    exposed,
    clusterUrl,
    keys,
    validityMs: tokenValidityMs,
    allowAnonymous,
    reviewToken,
    robotCredentials,
  })
