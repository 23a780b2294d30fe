/**
 * Starts the service from its arguments, on the ports of the former program, and stops it at a signal.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'
import { systemClock } from '../../concurrency/clock.ts'
import { mirrorUserAgent } from '../../config/version.ts'
import { loadKubeConfig } from '../../kubernetes/kubeconfig.ts'
import { credentialFor } from '../../secrets/docker-config.ts'
import { watchFiles, type WatchedFiles } from '../../secrets/watched-files.ts'
import { endIdleConnections } from '../../server/end-idle-connections.ts'
import { health } from '../../server/health.ts'
import { buildMetricsServer } from '../../server/metrics-server.ts'
import type { Logger } from '../../telemetry/logging.ts'
import { appCiImages } from '../app-ci/app-ci-source.ts'
import { ArgumentsError, type MirrorArguments } from '../arguments.ts'
import { Distributor } from '../distributor/distributor.ts'
import { logDistributor } from '../distributor/distributor-log.ts'
import { createKubernetesLease } from '../lease/kubernetes-lease.ts'
import type { DesiredSource } from '../plan/desired-source.ts'
import { printable } from '../printable.ts'
import { createStatusServer } from '../status/status-server.ts'
import { ConfigFile } from './config-file.ts'
import { MirrorService } from './service.ts'

export interface RunningService {
  /** The URLs of the API and of the metrics: `http://127.0.0.1:8090`. */
  readonly url: string
  readonly metricsUrl: string
  /** Looks at all files now. */
  readonly reload: () => void
  readonly stop: () => Promise<void>
}

const leaseName = 'ci-image-mirror'

/** @throws {ArgumentsError} @throws {ConfigFileError} @throws {Error} if a port is taken or no cluster is configured */
export const runService = async (args: MirrorArguments, logger: Logger): Promise<RunningService> => {
  const { config, registryConfig } = args
  checkArguments(args)
  const kubeConfig = loadKubeConfig(args.kubeconfig)
  kubeConfig.userAgent = mirrorUserAgent
  for (const warning of kubeConfig.warnings) logger.warn(warning)
  const auths = watchFiles({
    paths: [`${registryConfig}`],
    parse: ([text = '']) => parseAuths(text),
    onError: (error) => logger.error({ err: error }, 'The changed file of --registry-config is not used'),
  })
  let service: MirrorService | undefined
  const file = openConfig(`${config}`, logger, () => service?.changed())
  const { dryRun, leaderElectionNamespace: namespace, leaderElectionSuffix } = args
  const store = createKubernetesLease({ kubeConfig, namespace, name: leaseName + leaderElectionSuffix })
  service = new MirrorService({
    logger,
    config: () => file.current(),
    isConfigCurrent: () => file.isCurrent(),
    source: sourceOf(args, kubeConfig, logger),
    qci: args.qci,
    credentialOf: (upstream, repository) => credentialFor(auths.current(), { upstream, repository }),
    originOf: (host) => args.origins.get(host) ?? new URL(`https://${host}`),
    lease: dryRun ? undefined : { store, identity: `${hostname()}_${randomUUID()}` },
    intervalMs: args.intervalMs,
    onlyGzipLayers: args.distributor?.onlyValidManifests ?? true,
    hasAttachments: (target) => args.attachments.some((pattern) => pattern.matches(target)),
    clock: systemClock,
  })
  return await listen(service, { args, logger, file, auths })
}

/** Includes the watch of all ImageStreams, if it is enabled. */
const sourceOf = (
  { distributor: options }: MirrorArguments,
  kubeConfig: ReturnType<typeof loadKubeConfig>,
  logger: Logger,
): DesiredSource => {
  const base = appCiImages(kubeConfig)
  if (options === undefined) return base
  return new Distributor({ base, kubeConfig, options, clock: systemClock, observe: logDistributor(logger) })
}

/** @throws {ArgumentsError} */
const checkArguments = (args: MirrorArguments): void => {
  const problems = []
  if (args.config === undefined) problems.push('give the configuration: --config=FILE')
  if (args.registryConfig === undefined)
    problems.push('give the docker auth file of the robots: --registry-config=FILE')
  if (args.leaderElectionNamespace === '') problems.push('--leader-election-namespace must be set')
  if (args.leaderElectionSuffix !== '' && !args.dryRun)
    problems.push('dry-run must be set if --leader-election-suffix is set')
  if (problems.length > 0) throw new ArgumentsError(problems)
}

/** The text, if it is an auth file. @throws {Error} */
const parseAuths = (text: string): string => {
  credentialFor(text, { upstream: new URL('https://quay.io'), repository: 'openshift/ci' })
  return text
}

const openConfig = (path: string, logger: Logger, changed: () => void): ConfigFile => {
  logger.info({ path }, 'Loading config ...')
  return new ConfigFile({
    path,
    onChange: () => {
      logger.info({ path }, 'Loading config ...')
      changed()
    },
    onRefused: (problems) => logger.error({ path, problems }, 'Failed to reload config'),
    onCaution: (problems) => logger.warn({ path, problems }, 'The configuration has problems'),
  })
}

interface Started {
  readonly args: MirrorArguments
  readonly logger: Logger
  readonly file: ConfigFile
  readonly auths: WatchedFiles<string>
}

const listen = async (service: MirrorService, started: Started): Promise<RunningService> => {
  const { args, logger, file, auths } = started
  const api = createStatusServer(service)
  const metrics = buildMetricsServer(service.metrics)
  const close = async (): Promise<void> => {
    file.close()
    auths.close()
    await Promise.all([api, metrics].map(async (server) => await server.close()))
  }
  try {
    await metrics.register(health, { notReady: () => [], status: () => statusOf(service) })
    const url = await listenOn(api, args.port, '--port')
    const metricsUrl = await listenOn(metrics, args.metricsPort, '--metrics-port')
    service.start()
    logger.info({ url, metricsUrl, dryRun: args.dryRun }, 'Process started')
    const stop = async (): Promise<void> => {
      await service.stop(args.gracePeriodMs)
      await close()
      logger.info('Process ended gracefully')
    }
    const reload = (): void => {
      file.reload()
      auths.reload()
      service.reload()
    }
    return { url, metricsUrl, reload, stop }
  } catch (error) {
    await service.stop(0)
    await close()
    throw error
  }
}

const statusOf = (service: MirrorService): readonly string[] => {
  const problem = service.problem()
  const lease = service.hasLease() ? 'this replica has the lease' : 'another replica has the lease, or nobody'
  return problem === undefined ? [lease] : [lease, printable(problem)]
}

const listenOn = async (server: FastifyInstance, port: number, flag: string): Promise<string> => {
  endIdleConnections(server.server)
  try {
    return await server.listen({ host: '::', port })
  } catch (error) {
    throw new Error(`${flag}: ${(error as Error).message}`, { cause: error })
  }
}
