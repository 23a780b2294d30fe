/**
 * One command line from its arguments to its exit code.
 */
import { createRequire } from 'node:module'
import { ConfigError } from '../config/config-error.ts'
import { help } from '../config/help.ts'
import { cache } from './cache.ts'
import { explain } from './explain.ts'
import type { Io } from './io.ts'
import { auditReport } from './reports.ts'
import { sandbox } from './sandbox.ts'
import { serve } from './serve.ts'

type Command = (args: readonly string[], io: Io) => Promise<number>

const commands: Readonly<Record<string, Command>> = {
  serve,
  sandbox,
  'audit-report': auditReport,
  explain,
  cache,
}

const version = (): string =>
  (createRequire(import.meta.url)('../../package.json') as { version: string }).version

/** @returns the exit code; `serve` and `sandbox` go on after it until they are ended */
export const run = async (args: readonly string[], io: Io): Promise<number> => {
  try {
    return await dispatch(args, io)
  } catch (error) {
    for (const problem of problemsIn(error)) io.printError(problem)
    return 2
  }
}

const dispatch = async (args: readonly string[], io: Io): Promise<number> => {
  if (args.includes('--help') || args.includes('-h')) return show(help(), io)
  if (args.includes('--version')) return show(version(), io)
  const [first] = args
  if (first === undefined || first.startsWith('-')) return await serve(args, io)
  const command = Object.hasOwn(commands, first) ? commands[first] : undefined
  if (command === undefined)
    throw new ConfigError([`${JSON.stringify(first)} is not a command; --help lists them`])
  return await command(args.slice(1), io)
}

const show = (text: string, { print }: Io): number => {
  print(text)
  return 0
}

/** Lines for the operator: a sentence for each problem, and no stack. */
export const problemsIn = (error: unknown): readonly string[] =>
  (error instanceof ConfigError ? error.problems : [(error as Error).message]).map(
    (problem) => `quay-proxy: ${problem}`,
  )
