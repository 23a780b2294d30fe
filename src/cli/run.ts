/**
 * One command line from its arguments to its exit code.
 */
import { ConfigError } from '../config/config-error.ts'
import { didYouMean } from '../config/did-you-mean.ts'
import { help, helpOf, type CommandName } from '../config/help.ts'
import { version } from '../config/version.ts'
import { cache } from './cache.ts'
import { explain } from './explain.ts'
import type { Io } from './io.ts'
import { auditReport } from './reports.ts'
import { sandbox } from './sandbox.ts'
import { serve } from './serve.ts'

type Command = (args: readonly string[], io: Io) => Promise<number>

const commands: Readonly<Record<CommandName, Command>> = {
  serve,
  sandbox,
  'audit-report': auditReport,
  explain,
  cache,
}

/** @returns the exit code; `serve` and `sandbox` go on after it until they are ended */
export const run = async (args: readonly string[], io: Io): Promise<number> => {
  try {
    return await dispatch(args, io)
  } catch (error) {
    for (const problem of problemsIn(error)) io.printError(problem)
    return 2
  }
}

const helpFlags = new Set(['--help', '-help', '-h'])

const dispatch = async (args: readonly string[], io: Io): Promise<number> => {
  const [first = '-', ...rest] = args
  if (args.includes('--version') || first === 'version' || first === '-v') return show(version, io)
  if (first === 'help') return show(rest[0] === undefined ? help() : helpOf(nameOf(rest[0])), io)
  const isNamed = !first.startsWith('-')
  const name = isNamed ? nameOf(first) : 'serve'
  const own = isNamed ? rest : args
  if (!own.some((arg) => helpFlags.has(arg))) return await commands[name](own, io)
  return show(isNamed || own.length > 1 ? helpOf(name) : help(), io)
}

/** @throws {ConfigError} */
const nameOf = (text: string): CommandName => {
  if (Object.hasOwn(commands, text)) return text as CommandName
  // The only command that takes an image.
  const meant = text.includes('/')
    ? `; did you mean explain ${text}?`
    : didYouMean(text, Object.keys(commands))
  throw new ConfigError([`${JSON.stringify(text)} is not a command${meant} --help lists them`])
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
