/**
 * Sends a request to the API server and to upstream until each has answered once. So the first pull finds a robot token, readiness is
 * true, and a start that cannot work is logged with its reason.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiServer } from '../kubernetes/api-server.ts'
import { pullAttributes } from '../access/pull-attributes.ts'
import { serializeError, type Logger } from '../telemetry/logging.ts'
import type { RobotPool } from '../upstream/robot/robot-pool.ts'

export interface WarmUpOptions {
  readonly apiServer: Pick<ApiServer, 'reviewAccess'>
  readonly robot: Pick<RobotPool, 'acquire'>
  readonly qciNamespace: string
  readonly logger: Logger
  /** Ends the warm-up without a log line. */
  readonly signal: AbortSignal
  /** Milliseconds between two attempts. */
  readonly apiServerIntervalMs?: number
  readonly upstreamIntervalMs?: number
}

export const warmUp = async (options: WarmUpOptions): Promise<void> => {
  const { apiServer, robot, qciNamespace } = options
  // Short, because nothing is served before the API server has answered.
  const { apiServerIntervalMs = 1000 } = options
  // Long, because each pull tries upstream as well, and each refusal of the robot raises an alarm. Clients get the same time to retry.
  const { upstreamIntervalMs = 30_000 } = options
  // Any pull may send this review. Its answer shows that the API server lets the proxy send reviews.
  const resourceAttributes = pullAttributes({ namespace: qciNamespace })
  await Promise.all([
    untilAnswered(options, {
      send: async () => await apiServer.reviewAccess({ user: 'system:anonymous', resourceAttributes }),
      intervalMs: apiServerIntervalMs,
      failed: 'cannot reach the app.ci API server; retrying',
      answered: 'app.ci is reached',
    }),
    untilAnswered(options, {
      send: async () => await robot.acquire(),
      intervalMs: upstreamIntervalMs,
      failed: 'cannot reach upstream; retrying',
      answered: 'upstream is reached',
    }),
  ])
}

interface Side {
  readonly send: () => Promise<unknown>
  readonly intervalMs: number
  readonly failed: string
  readonly answered: string
}

const untilAnswered = async (
  { logger, signal }: WarmUpOptions,
  { send, intervalMs, failed, answered }: Side,
): Promise<void> => {
  // Each reason is logged once: of a silent server, every second failure says that the circuit is open.
  const told = new Set<string>()
  while (!signal.aborted) {
    try {
      await send()
      if (told.size > 0) logger.info(answered)
      return
    } catch (error) {
      if (signal.aborted) return
      const reason = JSON.stringify(serializeError(error))
      if (!told.has(reason)) logger.warn({ err: error }, failed)
      told.add(reason)
    }
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined)
  }
}
