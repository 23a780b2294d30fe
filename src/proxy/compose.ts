/**
 * Every part of a proxy, made once from the Config and handed to those who need it. Nothing is started here.
 */
import { Registry } from 'prom-client'
import type { Config } from '../config/config.ts'
import type { ApiServer } from '../kubernetes/api-server.ts'
import { expiryOf } from '../kubernetes/token-form.ts'
import type { KnownDigests } from './known-digests.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { composeAccess } from './compose-access.ts'
import { describeSharedState } from './compose-shared-state.ts'
import { composeUpstream, readsOf } from './compose-upstream.ts'
import { watchSecretFiles, type Files } from './secret-files.ts'
import type { RobotPool } from '../upstream/robot/robot-pool.ts'
import { createDenialMessage, createLegacyDenialMessage } from '../registry/denial.ts'
import { createLogin } from '../registry/authentication/compose.ts'
import { createPurposeKeys } from '../registry/authentication/signing-keys.ts'
import { createTagCursors } from '../registry/tags/tag-cursors.ts'
import type { Parts } from '../server/server.ts'
import type { SharedState, SharedStatus } from '../shared-state/shared-state.ts'

export interface Made {
  readonly parts: Parts
  readonly robot: RobotPool
  readonly apiServer: ApiServer
  readonly knownDigests: KnownDigests
  readonly shared: SharedState
  readonly files: Files
  readonly close: () => Promise<void>
}

/** @throws {Error} where a file, or app.ci's kubeconfig, cannot be used; nothing is left open then */
export const compose = (config: Config, logger: Logger, isStopping: () => boolean): Made => {
  const metrics = createMetrics(new Registry())
  const files = watchSecretFiles(config, logger, metrics)
  const access = composeAccess(config, files, logger, metrics)
  const { apiServer, reviewToken, policy, evaluateShadow, knownDigests, shared, isRestricted, ownerOf } =
    access
  const made = composeUpstream({ config, logger, metrics, files, knownDigests, shared })
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
    evaluateShadow === undefined
      ? createDenialMessage(config.qciNamespace, isRestricted)
      : createLegacyDenialMessage(config.qciNamespace)
  const parts: Parts = {
    ...source,
    ...login,
    logger,
    metrics,
    policy,
    evaluateShadow,
    expiryOf,
    cursors: createTagCursors(keys.listCursors),
    ownerOf,
    denied: login.anonymous?.denied(denied) ?? denied,
    monorepo: config.upstreamRepository,
    observe: ({ allowed, rule, source: from }, identity) =>
      metrics.decisions.inc({ rule: allowed ? rule : 'denied', source: from, kind: identity.kind }),
    observeStreams: (change) => metrics.streamsInFlight.inc(change),
    observeShed: (reason) => metrics.shed.inc({ reason }),
    tls: files.tls?.current(),
    notReady: () => [
      ...(isStopping() ? ['shutting down'] : []),
      ...(robot.attempted() ? [] : ['upstream was not asked yet']),
      ...(apiServer.reached() ? [] : ['the API server was not reached yet']),
      ...knownDigests.notReady(),
      ...unloaded(shared.status()),
    ],
    status: () => [describeSharedState(shared.status()), ...knownDigests.status()],
  }
  const close = async () => {
    for (const file of Object.values(files)) file?.close()
    await Promise.all([closeSource(), apiServer.close(), knownDigests.close()])
    // Last: what was learnt is kept.
    await shared.close()
  }
  return { parts, robot, apiServer, knownDigests, shared, files, close }
}

/** While it is away, a replica goes on with what it knows: then there is nothing to wait for. */
const unloaded = ({ state, isLoaded }: SharedStatus): readonly string[] =>
  state === 'connected' && !isLoaded ? ['what other replicas know is not loaded yet'] : []
