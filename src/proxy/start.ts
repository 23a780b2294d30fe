/**
 * A Config becomes a running proxy, and a running proxy ends without cutting a pull.
 */
import { Server as HttpsServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/config.ts'
import type { ListenAddress } from '../config/value-parsers.ts'
import { closeGracefully } from '../server/graceful-close.ts'
import { health } from '../server/health.ts'
import type { Logger } from '../telemetry/logging.ts'
import { compose } from './compose.ts'
import type { WatchedSecrets } from './secret-files.ts'
import { buildMetricsServer } from '../server/metrics-server.ts'
import { buildServer, type ServerOptions } from '../server/server.ts'
import { warmUp } from './warm-up.ts'

export interface Proxy {
  /** Where it listens: `http://127.0.0.1:8400`. */
  readonly url: string
  readonly metricsUrl: string | undefined
  /** Not ready first, then no new connections, then running pulls end, up to the grace period. */
  readonly stop: () => Promise<void>
}

/** Milliseconds of being not ready before connections are refused: load balancers look every few seconds. */
const longestNoticeMs = 5000

/**
 * @param limits other than the usual ones
 * @throws {Error} where an address is taken, or app.ci's kubeconfig cannot be used; nothing is left running then
 */
export const startProxy = async (
  config: Config,
  logger: Logger,
  limits: NonNullable<ServerOptions['limits']> = {},
): Promise<Proxy> => {
  let stopping = false
  const {
    server: options,
    robot,
    apiServer,
    knownDigests,
    shared,
    storage,
    files,
    close,
  } = compose(config, logger, () => stopping)
  const ended = new AbortController()
  const servers: FastifyInstance[] = []
  const closeAll = async () => {
    ended.abort()
    await Promise.all(servers.map(async (server) => await server.close()))
    await close()
  }
  try {
    const app = await buildServer({ ...options, limits })
    servers.push(app)
    closeGracefully(app.server)
    reloadTls(app, files.tls)
    const url = await listen(app, config.listen, '--listen-addr')
    const metricsUrl = await listenForMetrics(config, options, servers)
    await shared.start()
    knownDigests.start()
    void storage?.load(ended.signal)
    void warmUp({ apiServer, robot, qciNamespace: config.qciNamespace, logger, signal: ended.signal })
    logger.info(
      { url, metricsUrl, upstream: config.upstream.origin, exposed: config.exposed.origin },
      'listening',
    )
    const stop = async () => {
      stopping = true
      logger.info('stopping')
      await sleep(Math.min(longestNoticeMs, config.gracePeriodMs / 4))
      await endWithin(app, config.gracePeriodMs, logger)
      await closeAll()
    }
    return { url, metricsUrl, stop }
  } catch (error) {
    await closeAll()
    throw error
  }
}

const listenForMetrics = async (
  { metricsListen }: Config,
  { telemetry, health: options }: ServerOptions,
  servers: FastifyInstance[],
) => {
  if (metricsListen === undefined) return undefined
  const server = buildMetricsServer(telemetry.metrics)
  servers.push(server)
  // The front door closes to everybody when it is full: a kubelet that asks there would restart a replica for being busy.
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

/** The longest time that a timer of Node can wait; it takes a longer one for none at all. */
const longestTimerMs = 2 ** 31 - 1
/** Milliseconds between two looks for connections whose last answer is through. */
const reapIntervalMs = 100

/** What runs, or has not arrived, is waited for; what is left of it after the grace period is cut, which clients resume elsewhere. */
const endWithin = async (app: FastifyInstance, gracePeriodMs: number, logger: Logger): Promise<void> => {
  const cut = setTimeout(
    () => {
      logger.warn('grace period exceeded; closing remaining connections')
      app.server.closeAllConnections()
    },
    Math.min(gracePeriodMs, longestTimerMs),
  )
  // A connection that was busy when the server closed is kept alive for a next request after its answer.
  const reap = setInterval(() => app.server.closeIdleConnections(), reapIntervalMs)
  await app.close()
  clearTimeout(cut)
  clearInterval(reap)
}

const reloadTls = (app: FastifyInstance, tls: WatchedSecrets['tls']): void => {
  const server: unknown = app.server
  if (server instanceof HttpsServer) tls?.onChange((pair) => server.setSecureContext(pair))
}
