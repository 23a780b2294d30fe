/**
 * `quay-proxy cache`: lists, verifies and removes the entries of a cache directory. The exit code is 1 if an entry is wrong.
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
