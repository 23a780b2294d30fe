/**
 * Composes the metrics of the process and of the state of this replica.
 */
import { expiryOfChain } from '../config/pem.ts'
import { version } from '../config/version.ts'
import type { HealthOptions } from '../server/health.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createProcessMetrics, type ProcessMetrics } from '../telemetry/process-metrics.ts'
import { createStateMetrics } from '../telemetry/state-metrics.ts'
import type { RobotPool } from '../upstream/robot/robot-pool.ts'
import type { ReloadedFiles } from './reloaded-files.ts'

export interface ComposeMetricsOptions {
  readonly metrics: Pick<Metrics, 'registry'>
  readonly files: Pick<ReloadedFiles, 'tls'>
  readonly robot: Pick<RobotPool, 'tokenAgeMs'>
  readonly health: Pick<HealthOptions, 'notReady'>
}

export const composeMetrics = ({ metrics, files, robot, health }: ComposeMetricsOptions): ProcessMetrics => {
  const { tls } = files
  createStateMetrics(
    metrics.registry,
    { version, node: process.version },
    {
      isReady: () => health.notReady().length === 0,
      robotTokenAgeMs: robot.tokenAgeMs.bind(robot),
      certificateExpiry: tls === undefined ? undefined : () => expiryOfChain(tls.current().cert),
    },
  )
  return createProcessMetrics(metrics.registry)
}
