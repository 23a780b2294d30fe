/**
 * Composes the answers of the probes: the reasons why the proxy is not ready, and the state of its components.
 */
import type { ApiServer } from '../kubernetes/api-server.ts'
import type { HealthOptions } from '../server/health.ts'
import type { SharedState, SharedStatus } from '../shared-state/shared-state.ts'
import type { Storage } from '../storage/storage.ts'
import type { RobotPool } from '../upstream/robot/robot-pool.ts'
import type { Digests } from './compose-digests.ts'
import { describeS3, type ComposedS3 } from './compose-s3.ts'
import { describeSharedState } from './compose-shared-state.ts'
import { describeStorage } from './compose-storage.ts'

interface ProbedParts {
  readonly robot: RobotPool
  readonly apiServer: ApiServer
  readonly digests: Digests
  readonly shared: SharedState
  readonly storage: Storage | undefined
  readonly s3: ComposedS3 | undefined
}

export const composeProbes = (
  { robot, apiServer, digests, shared, storage, s3 }: ProbedParts,
  isStopping: () => boolean,
): HealthOptions => ({
  notReady: () => [
    ...(isStopping() ? ['shutting down'] : []),
    ...(robot.attempted() ? [] : ['upstream was not asked yet']),
    ...(apiServer.reached() ? [] : ['the API server was not reached yet']),
    ...digests.notReady(),
    ...unloaded(shared.status()),
  ],
  status: () => [
    describeSharedState(shared.status()),
    ...digests.status(),
    ...(storage === undefined ? [] : [describeStorage(storage)]),
    ...(s3 === undefined ? [] : [describeS3(s3)]),
  ],
})

/** While the shared state is unavailable, a replica serves with the facts it has: then it does not wait for the others' facts. */
const unloaded = ({ state, isLoaded }: SharedStatus): readonly string[] =>
  state === 'connected' && !isLoaded ? ['what other replicas know is not loaded yet'] : []
