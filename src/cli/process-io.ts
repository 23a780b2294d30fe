/**
 * The `Io` of a real process: its streams, environment and signals.
 */
import { createOutput } from '../telemetry/logging.ts'
import type { Io } from './io.ts'
import { problemsIn } from './run.ts'

/** The part of the global `process` that is used. */
export interface Program {
  readonly env: Io['environment']
  readonly stdin: { setEncoding: (encoding: 'utf8') => AsyncIterable<string>; isTTY?: boolean }
  readonly stdout: {
    write: (text: string) => unknown
    on: (event: 'error', listener: () => void) => unknown
  }
  readonly stderr: { write: (text: string) => unknown }
  exitCode?: number | string | null | undefined
  on: (
    event: 'exit' | 'SIGINT' | 'SIGTERM' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR2',
    listener: () => void,
  ) => unknown
  exit: (code: number) => void
}

export const createProcessIo = (program: Program): Io => {
  const printError = (line: string): void => void program.stderr.write(`${line}\n`)
  // The reader has closed the pipe, as `| head` does.
  program.stdout.on('error', () => undefined)
  return {
    environment: program.env,
    print: (line) => void program.stdout.write(`${line}\n`),
    printError,
    openInput: () => program.stdin.setEncoding('utf8'),
    isInputTerminal: program.stdin.isTTY === true,
    openLog: () => {
      const output = createOutput()
      // Runs at every exit except SIGKILL, also after an exception that nobody catches.
      program.on('exit', output.flushSync)
      return output
    },
    onEnd: createOnEnd(program, (error) => {
      problemsIn(error).forEach(printError)
      program.exitCode = 2
    }),
    onSignal: (signal, listener) => void program.on(signal, listener),
  }
}

/** Milliseconds. The terminal and npm both pass on Ctrl-C, so one Ctrl-C arrives twice. */
const sameSignalMs = 500

/** Ctrl-\ of a terminal sends SIGQUIT: there it ends a program that no longer reacts. */
const endSignals = {
  signal: ['SIGTERM', 'SIGINT', 'SIGQUIT'],
  terminal: ['SIGTERM', 'SIGINT'],
} as const

const createOnEnd =
  (program: Program, fail: (error: unknown) => void): Io['onEnd'] =>
  (from, end) => {
    let first: { readonly event: string; readonly at: number } | undefined
    const endOnce = (event: string): void => {
      if (first !== undefined) return
      first = { event, at: performance.now() }
      end().catch(fail)
    }
    const isSecond = (event: string): boolean =>
      first !== undefined && (first.event !== event || performance.now() - first.at > sameSignalMs)
    for (const signal of endSignals[from])
      program.on(signal, () => {
        if (isSecond(signal)) program.exit(1)
        endOnce(signal)
      })
    if (from === 'signal') return
    // A terminal that closes sends the signal, and fails each write after it.
    program.on('SIGHUP', () => endOnce('SIGHUP'))
    program.stdout.on('error', () => endOnce('closed output'))
  }
