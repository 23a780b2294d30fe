/**
 * The interface of the commands to the process. `main.ts` passes the real one, tests pass their own.
 */
import type { Environment } from '../config/command-line.ts'
import type { Output } from '../telemetry/logging.ts'

export interface Io {
  readonly environment: Environment
  /** Writes a line to standard output. */
  readonly print: (line: string) => void
  /** Writes a line to standard error. */
  readonly printError: (line: string) => void
  readonly openInput: () => AsyncIterable<string>
  /** Whether a person types standard input. */
  readonly isInputTerminal: boolean
  /** Where log lines go. */
  readonly openLog: () => Output
  /**
   * @param end runs once, at the first request to end: a signal (SIGQUIT included, for `signal`) or, for `terminal`, a closed terminal or pipe too. A second signal ends the
   * process at once. A rejection is printed, with exit code 2.
   */
  readonly onEnd: (from: 'signal' | 'terminal', end: () => Promise<void>) => void
  /** Replaces what the system does at this signal, which is to end the process. */
  readonly onSignal: (signal: 'SIGHUP' | 'SIGUSR2', listener: () => void) => void
}
