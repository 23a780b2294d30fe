/**
 * Starts a proxy from a Config. `stop.ts` stops it.
 */
import { Server as HttpsServer } from 'node:https'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/config.ts'
import type { ListenAddress } from '../config/value-parsers.ts'
import { endIdleConnections } from '../server/end-idle-connections.ts'
import { health } from '../server/health.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createConnectionMetrics } from '../telemetry/state-metrics.ts'
import { loadTracing } from '../tracing/load-tracing.ts'
import { version } from '../config/version.ts'
import { compose, type Components } from './compose.ts'
import type { ReloadedFiles } from './reloaded-files.ts'
import { buildMetricsServer } from '../server/metrics-server.ts'
import { buildServer, type ServerOptions } from '../server/server.ts'
import { stopServing } from './stop.ts'
import { warmUp } from './warm-up.ts'

export interface Proxy {
  /** The URL that it listens on: `http://127.0.0.1:8400`. */
  readonly url: string
  readonly metricsUrl: string | undefined
  /** First reports not ready, then refuses new connections, then waits for running pulls, up to the grace period. */
  readonly stop: () => Promise<void>
  /** Reads the secrets, certificates and other watched files now, instead of at the next interval. */
  readonly reload: () => void
}

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
    endIdleConnections(app.server)
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

const reloadFiles = (files: ReloadedFiles, logger: Logger): void => {
  for (const file of Object.values(files)) file?.reload()
  logger.info('looked at the files')
}

const countConnections = async ({ server }: FastifyInstance): Promise<number> =>
  await promisify(server.getConnections.bind(server))()

const reloadTls = (app: FastifyInstance, tls: ReloadedFiles['tls']): void => {
  const server: unknown = app.server
  if (server instanceof HttpsServer) tls?.onChange((pair) => server.setSecureContext(pair))
}
