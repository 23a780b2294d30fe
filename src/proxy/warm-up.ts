/**
 * Asks both sides until each has answered once: so that the first pull finds a robot token, readiness says what is true, and a start
 * that cannot work says why.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiServer } from '../kubernetes/api-server.ts'
import { pullAttributes } from '../kubernetes/subject-access-review.ts'
import { serializeError, type Logger } from '../telemetry/logging.ts'
import type { RobotPool } from '../upstream/robot/robot-pool.ts'

export interface WarmUpOptions {
  readonly apiServer: Pick<ApiServer, 'reviewAccess'>
  readonly robot: Pick<RobotPool, 'acquire'>
  readonly qciNamespace: string
  readonly logger: Logger
  /** Ends it, without a word. */
  readonly signal: AbortSignal
  /** Milliseconds between two attempts. */
  readonly apiServerIntervalMs?: number
  readonly upstreamIntervalMs?: number
}

export const warmUp = async (options: WarmUpOptions): Promise<void> => {
  const { apiServer, robot, qciNamespace } = options
  // Nothing is served before.
  const { apiServerIntervalMs = 1000 } = options
  // Whoever pulls asks as well, and a robot that is refused is an alarm each time: as seldom as clients are told to come again then.
  const { upstreamIntervalMs = 30_000 } = options
  // Any pull may send this review: its answer shows that the proxy may send reviews at all.
  const resourceAttributes = pullAttributes({ namespace: qciNamespace })
  await Promise.all([
    untilAnswered(options, {
      ask: async () => await apiServer.reviewAccess({ user: 'system:anonymous', resourceAttributes }),
      intervalMs: apiServerIntervalMs,
      failed: 'cannot reach the app.ci API server; retrying',
      answered: 'app.ci is reached',
    }),
    untilAnswered(options, {
      ask: async () => await robot.acquire(),
      intervalMs: upstreamIntervalMs,
      failed: 'cannot reach upstream; retrying',
      answered: 'upstream is reached',
    }),
  ])
}

interface Side {
  readonly ask: () => Promise<unknown>
  readonly intervalMs: number
  readonly failed: string
  readonly answered: string
}

const untilAnswered = async (
  { logger, signal }: WarmUpOptions,
  { ask, intervalMs, failed, answered }: Side,
): Promise<void> => {
  // Each reason once: of a server that is silent every other one is that it was not asked again so soon.
  const told = new Set<string>()
  while (!signal.aborted) {
    try {
      await ask()
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
