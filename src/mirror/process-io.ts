/**
 * What the commands need of a real process: its environment, output and signals.
 */
import type { MirrorIo } from './io.ts'

/** The part of the global `process` that is used. */
export interface Program {
  readonly env: NonNullable<MirrorIo['environment']>
  readonly stdout: { write: (text: string) => unknown }
  readonly stderr: { write: (text: string) => unknown }
  on: (signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', listener: () => void) => unknown
  exit: (code: number) => void
}

export const createProcessIo = (program: Program): MirrorIo => ({
  environment: program.env,
  print: (text) => void program.stdout.write(`${text}\n`),
  printError: (text) => void program.stderr.write(`${text}\n`),
  onEnd: (end) => {
    let isEnding = false
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      program.on(signal, () => {
        // A second signal does not wait for running copies.
        if (isEnding) program.exit(1)
        else void end()
        isEnding = true
      })
  },
  onReload: (reload) => program.on('SIGHUP', reload),
})
