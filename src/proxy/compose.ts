/**
 * The composition root: every component of a proxy, created once from the Config. Nothing is started here.
 */
import { Registry } from 'prom-client'
import type { Config } from '../config/config.ts'
import type { ApiServer } from '../kubernetes/api-server.ts'
import { expiryOf } from '../kubernetes/token-form.ts'
import type { KnownDigests } from './known-digests.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { composeAccess } from './compose-access.ts'
import { describeSharedState } from './compose-shared-state.ts'
import { composeStorage, describeStorage } from './compose-storage.ts'
import { composeUpstream, readsOf } from './compose-upstream.ts'
import { watchSecretFiles, type WatchedSecrets } from './secret-files.ts'
import type { RobotPool } from '../upstream/robot/robot-pool.ts'
import { createDenialMessage, createLegacyDenialMessage, type DenialMessage } from '../registry/denial.ts'
import { createLogin } from '../registry/authentication/compose.ts'
import { createPurposeKeys } from '../registry/authentication/signing-keys.ts'
import { createTagCursors } from '../registry/tags/tag-cursors.ts'
import type { HealthOptions } from '../server/health.ts'
import type { LoginOptions, ServerOptions, TelemetryOptions } from '../server/server.ts'
import type { SharedState, SharedStatus } from '../shared-state/shared-state.ts'
import type { Storage } from '../storage/storage.ts'

export interface Components {
  readonly server: ServerOptions
  readonly robot: RobotPool
  readonly apiServer: ApiServer
  readonly knownDigests: KnownDigests
  readonly shared: SharedState
  /** Undefined without `--cache-dir`. */
  readonly storage: Storage | undefined
  readonly files: WatchedSecrets
  readonly close: () => Promise<void>
}

/** @throws {Error} where a file, or app.ci's kubeconfig, cannot be used; nothing is left open then */
export const compose = (config: Config, logger: Logger, isStopping: () => boolean): Components => {
  const metrics = createMetrics(new Registry())
  const files = watchSecretFiles(config, logger, metrics)
  const access = composeAccess(config, files, logger, metrics)
  const { apiServer, knownDigests, shared } = access
  const cache = composeStorage(config, logger, metrics)
  const storage = cache?.storage
  const pipeline = composeUpstream({ config, logger, metrics, files, knownDigests, shared, cache })
  const { robot } = pipeline
  knownDigests.connect(readsOf(pipeline))
  const keys = createPurposeKeys(files.tokenSecret.current)
  const login = createLogin({
    exposed: config.exposed,
    keys,
    validityMs: config.tokenValidityMs,
    allowAnonymous: config.allowAnonymous,
    reviewToken: access.reviewToken,
    robotCredentials: files.robot.current,
  })
  const server: ServerOptions = {
    connections: {
      trustedProxies: config.trustedProxies,
      proxyProtocol: config.proxyProtocol,
      tls: files.tls?.current(),
    },
    login: { ...login, expiryOf },
    access: {
      policy: access.policy,
      evaluateShadow: access.evaluateShadow,
      ownerOf: access.ownerOf,
      cursors: createTagCursors(keys.listCursors),
      denied: denialOf(config, access, login.anonymous),
    },
    source: { ...pipeline.source, monorepo: config.upstreamRepository },
    telemetry: { logger, metrics, ...observersOf(metrics) },
    health: healthOf({ robot, apiServer, knownDigests, shared, storage }, isStopping),
  }
  const close = async () => {
    for (const file of Object.values(files)) file?.close()
    await Promise.all([pipeline.close(), apiServer.close(), knownDigests.close()])
    await storage?.close()
    // Last, because the others still publish facts until they are closed.
    await shared.close()
  }
  return { server, robot, apiServer, knownDigests, shared, storage, files, close }
}

const healthOf = (
  {
    robot,
    apiServer,
    knownDigests,
    shared,
    storage,
  }: Pick<Components, 'robot' | 'apiServer' | 'knownDigests' | 'shared' | 'storage'>,
  isStopping: () => boolean,
): HealthOptions => ({
  notReady: () => [
    ...(isStopping() ? ['shutting down'] : []),
    ...(robot.attempted() ? [] : ['upstream was not asked yet']),
    ...(apiServer.reached() ? [] : ['the API server was not reached yet']),
    ...knownDigests.notReady(),
    ...unloaded(shared.status()),
  ],
  status: () => [
    describeSharedState(shared.status()),
    ...knownDigests.status(),
    ...(storage === undefined ? [] : [describeStorage(storage)]),
  ],
})

const denialOf = (
  { qciNamespace }: Config,
  { evaluateShadow, isRestricted }: ReturnType<typeof composeAccess>,
  anonymous: LoginOptions['anonymous'],
): DenialMessage => {
  const denied =
    evaluateShadow === undefined
      ? createDenialMessage(qciNamespace, isRestricted)
      : createLegacyDenialMessage(qciNamespace)
  return anonymous?.denied(denied) ?? denied
}

const observersOf = (
  metrics: Metrics,
): Pick<TelemetryOptions, 'observe' | 'observeStreams' | 'observeShed'> => ({
  observe: ({ allowed, rule, source }, { kind }) =>
    metrics.decisions.inc({ rule: allowed ? rule : 'denied', source, kind }),
  observeStreams: (change) => metrics.streamsInFlight.inc(change),
  observeShed: (reason) => metrics.shed.inc({ reason }),
})

/** While the shared state is unavailable, a replica serves with the facts it has: then it does not wait for the others' facts. */
const unloaded = ({ state, isLoaded }: SharedStatus): readonly string[] =>
  state === 'connected' && !isLoaded ? ['what other replicas know is not loaded yet'] : []
