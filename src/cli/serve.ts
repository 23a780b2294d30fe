/**
 * `quay-proxy serve`: the proxy. Its modules load after the arguments were found valid, so that a mistake is reported at once.
 */
import { parseConfig } from '../config/config.ts'
import { createLogger } from '../telemetry/logging.ts'
import type { Io } from './io.ts'

/** @throws {Error} if the arguments are wrong, or the proxy cannot start */
export const serve = async (args: readonly string[], io: Io): Promise<number> => {
  const config = parseConfig(args, io.environment)
  const logger = createLogger(config.logLevel, io.openLog())
  for (const warning of config.warnings) logger.warn(warning)
  const { startProxy } = await import('../proxy/start.ts')
  const proxy = await startProxy(config, logger)
  io.onEnd('signal', proxy.stop)
  return 0
}
