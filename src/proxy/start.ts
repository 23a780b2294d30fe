/**
 * Starts a proxy from a Config, and stops it without cutting running pulls.
 */
import { Server as HttpsServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/config.ts'
import type { ListenAddress } from '../config/value-parsers.ts'
import { closeGracefully } from '../server/graceful-close.ts'
import { health } from '../server/health.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createConnectionMetrics } from '../telemetry/state-metrics.ts'
import { loadTracing } from '../tracing/load-tracing.ts'
import { version } from '../config/version.ts'
import { compose, type Components } from './compose.ts'
import type { WatchedSecrets } from './secret-files.ts'
import { buildMetricsServer } from '../server/metrics-server.ts'
import { buildServer, type ServerOptions } from '../server/server.ts'
import { warmUp } from './warm-up.ts'

export interface Proxy {
  /** Where it listens: `http://127.0.0.1:8400`. */
  readonly url: string
  readonly metricsUrl: string | undefined
  /** First reports not ready, then refuses new connections, then waits for running pulls, up to the grace period. */
  readonly stop: () => Promise<void>
  /** Reads the secrets, certificates and other watched files now, instead of at the next interval. */
  readonly reload: () => void
}

/** Milliseconds between "not ready" and the refusal of connections: load balancers probe every few seconds. */
const longestNoticeMs = 5000

/**
 * @param limits other than the usual ones
 * @throws {Error} if an address is taken, or the kubeconfig of app.ci cannot be used; nothing is left running then
 */
export const startProxy = async (
  config: Config,
  logger: Logger,
  limits: NonNullable<ServerOptions['limits']> = {},
): Promise<Proxy> => {
  let stopping = false
  const tracing = await loadTracing(config.openTelemetry, { logger, version })
  const components = compose(config, logger, () => stopping, tracing)
  const ended = new AbortController()
  const servers: FastifyInstance[] = []
  const closeAll = async () => {
    ended.abort()
    await Promise.all(servers.map(async (server) => await server.close()))
    await components.close()
    await tracing.close()
  }
  try {
    const app = await buildServer({ ...components.server, limits })
    servers.push(app)
    closeGracefully(app.server)
    createConnectionMetrics(
      components.server.telemetry.metrics.registry,
      async () => await countConnections(app),
    )
    reloadTls(app, components.files.tls)
    const url = await listen(app, config.listen, '--listen-addr')
    const metricsUrl = await listenForMetrics(config, components.server, servers)
    await startComponents(components, config, logger, ended.signal)
    logger.info(
      { url, metricsUrl, upstream: config.upstream.origin, exposed: config.exposed.origin },
      'listening',
    )
    const stop = async () => {
      stopping = true
      await stopServing(app, config, logger)
      await closeAll()
    }
    return { url, metricsUrl, stop, reload: () => reloadFiles(components.files, logger) }
  } catch (error) {
    await closeAll()
    throw error
  }
}

const startComponents = async (
  { shared, storage, removals, s3, digests, apiServer, robot }: Components,
  { qciNamespace }: Config,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> => {
  await Promise.all([shared.start(), s3?.tier.start()])
  digests.start()
  void storage?.load(signal)
  void removals?.start()
  void warmUp({ apiServer, robot, qciNamespace, logger, signal })
}

const stopServing = async (
  app: FastifyInstance,
  { gracePeriodMs }: Config,
  logger: Logger,
): Promise<void> => {
  logger.info('stopping')
  await sleep(Math.min(longestNoticeMs, gracePeriodMs / 4))
  await closeWithin(app, gracePeriodMs, logger)
}

const listenForMetrics = async (
  { metricsListen }: Config,
  { telemetry, health: options }: ServerOptions,
  servers: FastifyInstance[],
) => {
  if (metricsListen === undefined) return undefined
  const server = buildMetricsServer(telemetry.metrics)
  servers.push(server)
  // Probes use this port, because the client port refuses connections over its limit: a kubelet would restart a busy replica.
  await server.register(health, options)
  return await listen(server, metricsListen, '--metrics-addr')
}

const listen = async (server: FastifyInstance, address: ListenAddress, flag: string): Promise<string> => {
  try {
    return await server.listen(address)
  } catch (error) {
    throw new Error(`${flag}: ${(error as Error).message}`, { cause: error })
  }
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

const reloadFiles = (files: WatchedSecrets, logger: Logger): void => {
  for (const file of Object.values(files)) file?.reload()
  logger.info('looked at the files')
}

const countConnections = async ({ server }: FastifyInstance): Promise<number> =>
  await promisify(server.getConnections.bind(server))()

const reloadTls = (app: FastifyInstance, tls: WatchedSecrets['tls']): void => {
  const server: unknown = app.server
  if (server instanceof HttpsServer) tls?.onChange((pair) => server.setSecureContext(pair))
}
