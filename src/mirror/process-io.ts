/**
 * The interface of the commands to a real process: its environment, output and signals.
 */
import type { MirrorIo } from './io.ts'

/** The part of the global `process` that is used. */
export interface Program {
  readonly env: NonNullable<MirrorIo['environment']>
  readonly stdout: {
    write: (text: string) => unknown
    on: (event: 'error', listener: () => void) => unknown
  }
  readonly stderr: { write: (text: string) => unknown }
  on: (signal: 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR2', listener: () => void) => unknown
  exit: (code: number) => void
}

export const createProcessIo = (program: Program): MirrorIo => {
  // `| head`: the reader has read enough.
  program.stdout.on('error', () => undefined)
  return {
    environment: program.env,
    print: (text) => void program.stdout.write(`${text}\n`),
    printError: (text) => void program.stderr.write(`${text}\n`),
    onEnd: (end) => {
      let isEnding = false
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)
        program.on(signal, () => {
          // At a second signal the process does not wait for running copies.
          if (isEnding) program.exit(1)
          else void end()
          isEnding = true
        })
      // They would cut the running copies.
      for (const signal of ['SIGHUP', 'SIGUSR2'] as const) program.on(signal, () => undefined)
    },
    onReload: (reload) => program.on('SIGHUP', reload),
  }
}
