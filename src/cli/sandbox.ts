/**
 * `quay-proxy sandbox`: a cluster, a registry and the proxy on this machine, until the user ends them.
 */
import { fileURLToPath } from 'node:url'
import { parseSandboxArguments } from '../config/command-arguments.ts'
import { createLogger } from '../telemetry/logging.ts'
import type { Io } from './io.ts'

const manifests = (folder: string): string =>
  fileURLToPath(new URL(`../../manifests/${folder}`, import.meta.url))

/** A check that was ended has not passed. The number is that of shells for a program that Ctrl-C ended. */
const interruptedCheck = 130

/** @throws {Error} if the arguments are wrong, or the sandbox cannot start */
export const sandbox = async (args: readonly string[], io: Io): Promise<number> => {
  const { check, rbac, port, ...rest } = parseSandboxArguments(args)
  const ending = new AbortController()
  const { promise: closed, resolve: finish } = Promise.withResolvers<void>()
  let close = async (): Promise<void> => await closed
  // Before anything exists: Ctrl-C during the start must not leave the files of the sandbox behind.
  io.onEnd('terminal', async () => {
    ending.abort()
    await close()
  })
  io.print('Starting a cluster, a registry and the proxy on this machine.\n')
  try {
    const { startTour, verdictOf } = await import('../sandbox/tour.ts')
    const tour = await startTour({
      logger: createLogger('warn', io.openLog()),
      own: [manifests('rbac')],
      rbac: rbac.length === 0 ? [manifests('examples')] : rbac,
      port: check && port === undefined ? 0 : (port ?? 8400),
      print: io.print,
      signal: ending.signal,
      ...rest,
    })
    if (!check) {
      close = tour.close
      io.print('\nThe sandbox runs until Ctrl-C.')
      return 0
    }
    await tour.close()
    const { text, exitCode } = verdictOf(tour)
    io.print(`\n${text}`)
    return exitCode
  } catch (error) {
    if (!ending.signal.aborted) throw error
    return check ? interruptedCheck : 0
  } finally {
    finish()
  }
}
