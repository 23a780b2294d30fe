/**
 * `quay-proxy sandbox`: a cluster, a registry and the proxy on this machine, until the user ends them.
 */
import { fileURLToPath } from 'node:url'
import { parseSandboxArguments } from '../config/command-arguments.ts'
import type { Tour, TourOptions } from '../sandbox/tour.ts'
import { createLogger } from '../telemetry/logging.ts'
import type { Io } from './io.ts'

const manifests = (folder: string): string =>
  fileURLToPath(new URL(`../../manifests/${folder}`, import.meta.url))

/** A check that was interrupted has not passed. Shells use this exit code for a program that Ctrl-C ended. */
const interruptedCheck = 130

/** @throws {Error} if the arguments are wrong, or the sandbox cannot start */
export const sandbox = async (args: readonly string[], io: Io): Promise<number> => {
  const { check, rbac, port, ...rest } = parseSandboxArguments(args)
  const ending = new AbortController()
  let starting: Promise<Tour | undefined> = Promise.resolve(undefined)
  // Runs before anything is created, because Ctrl-C during the start must not leave files of the sandbox behind.
  io.onEnd('terminal', async () => {
    ending.abort()
    await (await starting)?.close()
  })
  io.print('Starting a cluster, a registry and the proxy on this machine.\n')
  starting = startUnlessEnded({
    logger: createLogger('warn', io.openLog()),
    own: [manifests('rbac')],
    rbac: rbac.length === 0 ? [manifests('examples')] : rbac,
    port: check && port === undefined ? 0 : (port ?? 8400),
    print: io.print,
    signal: ending.signal,
    ...rest,
  })
  const tour = await starting
  if (check) return tour === undefined ? interruptedCheck : await endCheck(tour, io)
  if (tour !== undefined) io.print('\nThe sandbox runs until Ctrl-C.')
  return 0
}

const startUnlessEnded = async (options: TourOptions): Promise<Tour | undefined> => {
  const { startTour } = await import('../sandbox/tour.ts')
  try {
    return await startTour(options)
  } catch (error) {
    if (!options.signal.aborted) throw error
    return undefined
  }
}

const endCheck = async (tour: Tour, io: Io): Promise<number> => {
  await tour.close()
  const { verdictOf } = await import('../sandbox/tour.ts')
  const { text, exitCode } = verdictOf(tour)
  io.print(`\n${text}`)
  return exitCode
}
