#!/usr/bin/env node
/**
 * The program. The only file that touches the process: its arguments, environment, signals, output and exit code.
 */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Io } from './cli/io.ts'

// Attack: in the shared folder for temporary files, Node's default, another user could put code into the cache. Where this folder cannot be
// written, as in the image, there is no cache.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/quay-proxy', import.meta.url)))
// These imports come second, because only files that are loaded from now on are cached.
const { problemsIn, run } = await import('./cli/run.ts')
const { createOutput } = await import('./telemetry/logging.ts')

const printError = (line: string): void => void process.stderr.write(`${line}\n`)

const fail = (error: unknown): void => {
  problemsIn(error).forEach(printError)
  process.exitCode = 2
}

const openLog: Io['openLog'] = () => {
  const output = createOutput()
  // Runs at every exit except SIGKILL, also after an exception that nobody catches.
  process.on('exit', output.flushSync)
  return output
}

/** Milliseconds. npm passes Ctrl-C on to a program that the terminal has told already: the program hears it twice. */
const sameSignalMs = 500

const onEnd: Io['onEnd'] = (from, end) => {
  let first: { readonly signal: string; readonly at: number } | undefined
  const endOnce = (signal: string): void => {
    if (first !== undefined) return
    first = { signal, at: performance.now() }
    end().catch(fail)
  }
  for (const signal of ['SIGTERM', 'SIGINT'])
    process.on(signal, () => {
      const isAnother =
        first !== undefined && (first.signal !== signal || performance.now() - first.at > sameSignalMs)
      if (isAnother) process.exit(1)
      endOnce(signal)
    })
  if (from === 'signal') return
  // A terminal that closes sends the signal, and fails each write after it.
  process.on('SIGHUP', endOnce)
  process.stdout.on('error', () => endOnce('closed output'))
}

// `| head`: the reader has read enough.
process.stdout.on('error', () => undefined)
process.exitCode = await run(process.argv.slice(2), {
  environment: process.env,
  print: (line) => void process.stdout.write(`${line}\n`),
  printError,
  openInput: () => process.stdin.setEncoding('utf8'),
  openLog,
  onEnd,
})
