/**
 * `quay-proxy cache`: what the directory of a cache holds, and whether it is right. Exit code 1 if it is not.
 */
import { parseCacheArguments } from '../config/cache-arguments.ts'
import type { Io } from './io.ts'

/** @throws {Error} if the arguments are wrong, the directory is no cache, or nothing is there to remove */
export const cache = async (args: readonly string[], io: Io): Promise<number> => {
  const { warnings, ...options } = parseCacheArguments(args, io.environment)
  for (const warning of warnings) io.printError(warning)
  const { cacheCommand } = await import('../proxy/cache-command.ts')
  return (await cacheCommand({ ...options, print: io.print })) ? 0 : 1
}
