/**
 * The interface of the commands to the process.
 */
import type { Clock } from '../concurrency/clock.ts'
import type { createLogger } from '../telemetry/logging.ts'

export interface MirrorIo {
  /** The network of a registry; for tests. */
  readonly originOf?: (host: string) => URL
  /** For tests. */
  readonly clock?: Clock
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly print: (text: string) => void
  readonly printError: (text: string) => void
  /** The output of log lines; standard output unless given. */
  readonly log?: Parameters<typeof createLogger>[1]
  /** @param end runs once, at SIGTERM, SIGINT or SIGQUIT; SIGHUP and SIGUSR2 have no effect then */
  readonly onEnd?: (end: () => Promise<void>) => void
  /** @param reload runs at each SIGHUP */
  readonly onReload?: (reload: () => void) => void
}
