/**
 * Stops the server for clients without cutting running pulls, and decides when the shutdown is over.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/config.ts'
import type { Logger } from '../telemetry/logging.ts'

/** Milliseconds between "not ready" and the refusal of connections: load balancers probe every few seconds. */
const longestNoticeMs = 5000

/** The probes must report "not ready" from the call on. Resolves when all connections are closed. */
export const stopServing = async (
  app: FastifyInstance,
  { gracePeriodMs }: Pick<Config, 'gracePeriodMs'>,
  logger: Logger,
): Promise<void> => {
  logger.info('stopping')
  await sleep(Math.min(longestNoticeMs, gracePeriodMs / 4))
  await closeWithin(app, gracePeriodMs, logger)
}

/** The longest time of a timer in Node.js, which runs a longer one at once. */
const longestTimerMs = 2 ** 31 - 1
/** Milliseconds between two searches for connections whose last response has been sent. */
const reapIntervalMs = 100

/** Waits for running pulls. After the grace period it cuts the rest; the clients resume at another replica. */
const closeWithin = async (app: FastifyInstance, gracePeriodMs: number, logger: Logger): Promise<void> => {
  const cut = setTimeout(
    () => {
      logger.warn('grace period exceeded; closing remaining connections')
      app.server.closeAllConnections()
    },
    Math.min(gracePeriodMs, longestTimerMs),
  )
  // A connection that was busy when the server closed stays open after its response, for a next request.
  const reap = setInterval(() => app.server.closeIdleConnections(), reapIntervalMs)
  await app.close()
  clearTimeout(cut)
  clearInterval(reap)
}
