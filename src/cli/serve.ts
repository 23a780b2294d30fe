/**
 * `quay-proxy serve`: the proxy. Its modules load after the arguments were found valid, so that a mistake is reported at once.
 */
import { parseConfig } from '../config/config.ts'
import { describeSettings, givenSettings } from '../config/settings.ts'
import { version } from '../config/version.ts'
import { createHeapSnapshots } from '../telemetry/heap-snapshot.ts'
import { createLogger } from '../telemetry/logging.ts'
import type { Io } from './io.ts'

/** @throws {Error} if the arguments are wrong, or the proxy cannot start */
export const serve = async (args: readonly string[], io: Io): Promise<number> => {
  const config = parseConfig(args, io.environment)
  if (config.printConfig) {
    for (const warning of config.warnings) io.printError(`quay-proxy: ${warning}`)
    io.print(describeSettings(config.settings))
    return 0
  }
  const logger = createLogger(config.logLevel, io.openLog())
  logger.info({ version, node: process.version, settings: givenSettings(config.settings) }, 'starting')
  for (const warning of config.warnings) logger.warn(warning)
  const { startProxy } = await import('../proxy/start.ts')
  const proxy = await startProxy(config, logger)
  io.onEnd('signal', proxy.stop)
  io.onSignal('SIGHUP', proxy.reload)
  const writeSnapshot = createHeapSnapshots({ directory: config.heapSnapshotDir, logger })
  io.onSignal('SIGUSR2', () => void writeSnapshot())
  return 0
}
