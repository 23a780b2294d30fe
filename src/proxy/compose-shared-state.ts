/**
 * Composes the shared state of the replicas: over Valkey or Redis, or in this process only.
 */
import type { Config } from '../config/config.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createSharedStateMetrics } from '../telemetry/shared-state-metrics.ts'
import { createEmbeddedState } from '../shared-state/embedded-state.ts'
import type { SharedState, SharedStateOptions, SharedStatus } from '../shared-state/shared-state.ts'
import { createStoreState } from '../shared-state/store-state.ts'
import type { Tracing } from '../tracing/tracing.ts'

export interface ComposeSharedStateOptions extends Pick<
  SharedStateOptions,
  'apply' | 'snapshot' | 'hasForgotten'
> {
  readonly config: Pick<Config, 'sharedState' | 'sharedStateCa' | 'stateDir' | 'replicas'>
  /** Called for each connection. */
  readonly password: (() => string) | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing
}

export const composeSharedState = (from: ComposeSharedStateOptions): SharedState => {
  const { config, password, logger, metrics, tracing, apply, snapshot, hasForgotten } = from
  const { sharedState: url, sharedStateCa: ca, stateDir, replicas } = config
  const options: SharedStateOptions = {
    apply,
    snapshot,
    ...(hasForgotten === undefined ? {} : { hasForgotten }),
    replicas,
    ...(stateDir === undefined ? {} : { stateDir }),
    onChange: (status) => {
      const { state, reason } = status
      if (state === 'unavailable')
        logger.error({ reason }, 'the shared state is unavailable; this replica works alone')
      else if (reason === undefined) logger.info({ state }, 'the shared state is connected')
      else logger.error({ state, reason }, 'the shared state takes no writes')
    },
    onWarning: (message) => logger.warn({ reason: message }, 'shared state'),
  }
  const shared =
    url === undefined
      ? createEmbeddedState(options)
      : traced(createStoreState({ ...options, store: { url, password, ca } }), tracing, url)
  if (url !== undefined) createSharedStateMetrics(metrics, shared.status)
  return shared
}

/** With spans of what a request may wait for. */
const traced = (shared: SharedState, { stage }: Tracing, { hostname }: URL): SharedState => {
  const { facts, grants, index, tokenBucket, failedLogins, status } = shared
  const requestAttributes = () => ({ 'db.system.name': 'redis', 'server.address': hostname })
  const options = { isClient: true, requestAttributes }
  return {
    facts: {
      publish: stage('publish facts', facts.publish, options),
      catchUp: stage('catch up with facts', facts.catchUp, options),
      isCertain: facts.isCertain,
    },
    grants: {
      publish: stage('publish grant', grants.publish, options),
      read: stage('read grants', grants.read, options),
    },
    index,
    tokenBucket,
    failedLogins,
    status,
    start: async () => await shared.start(),
    close: async () => await shared.close(),
  }
}

/** For `/readyz?verbose`. */
export const describeSharedState = ({ state, sinceMs, reason, replicas, isLoaded }: SharedStatus): string => {
  const details = [
    `${replicas} replicas known`,
    ...(isLoaded ? [] : ['not loaded yet']),
    ...(reason === undefined ? [] : [reason]),
  ]
  return `shared state: ${state} for ${Math.round(sinceMs / 1000)} s, ${details.join(', ')}`
}
