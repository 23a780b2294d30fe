#!/usr/bin/env node
/**
 * The command line. The only file that touches the process: its arguments, environment, signals, output and exit code. What
 * serves is loaded once the arguments are right: a mistake in them is told at once.
 */
import { createReadStream } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import {
  parseAuditReportArguments,
  parseCacheArguments,
  parseExplainArguments,
  parseSandboxArguments,
} from './config/command-arguments.ts'
import { ConfigError, parseConfig } from './config/config.ts'
import { help } from './config/help.ts'
import { createLogger, createOutput } from './telemetry/logging.ts'

const print = (line: string): void => void process.stdout.write(`${line}\n`)

const serve = async (args: readonly string[]): Promise<void> => {
  const config = parseConfig(args, process.env)
  const output = createOutput()
  // Comes with every end but SIGKILL: also with an exception that nobody catches.
  process.on('exit', output.flushSync)
  const logger = createLogger(config.logLevel, output)
  for (const warning of config.warnings) logger.warn(warning)
  const { startProxy } = await import('./proxy/start.ts')
  const proxy = await startProxy(config, logger)
  onSignal(proxy.stop)
}

const sandbox = async (args: readonly string[]): Promise<void> => {
  const { check, rbac, as, port } = parseSandboxArguments(args)
  const manifests = (folder: string): string =>
    fileURLToPath(new URL(`../manifests/${folder}`, import.meta.url))
  const { startTour, verdictOf } = await import('./sandbox/tour.ts')
  const tour = await startTour({
    logger: createLogger('warn'),
    own: [manifests('rbac')],
    rbac: rbac.length === 0 ? [manifests('examples')] : rbac,
    as,
    port: check && port === undefined ? 0 : (port ?? 8400),
    print,
  })
  if (check) {
    await tour.close()
    const { text, exitCode } = verdictOf(tour)
    print(`\n${text}`)
    process.exitCode = exitCode
    return
  }
  print('\nUp until Ctrl-C.')
  onSignal(tour.close)
}

const auditReport = async (args: readonly string[]): Promise<void> => {
  const { files, ...rest } = parseAuditReportArguments(args, process.env)
  const { auditReport: report } = await import('./audit/audit-report.ts')
  const standardInput = { name: 'standard input', open: () => process.stdin.setEncoding('utf8') }
  const logs = files.map((name) => ({ name, open: () => createReadStream(name, 'utf8') }))
  // `| head`: whoever reads has read enough.
  process.stdout.on('error', () => undefined)
  print(await report({ logs: logs.length === 0 ? [standardInput] : logs, ...rest }))
}

const explain = async (args: readonly string[]): Promise<void> => {
  const { reference, restrictedNamespaces, ...rest } = parseExplainArguments(args, process.env)
  const { explain: explained } = await import('./explain/explain.ts')
  const { createRestrictedNamespaces } = await import('./access/restricted-namespaces.ts')
  print(explained(reference, { ...rest, isRestricted: createRestrictedNamespaces(restrictedNamespaces) }))
}

const cache = async (args: readonly string[]): Promise<void> => {
  const options = parseCacheArguments(args, process.env)
  const { cacheCommand } = await import('./proxy/cache-command.ts')
  if (!(await cacheCommand({ ...options, print }))) process.exitCode = 1
}

/** The first signal ends in order; a second one at once, for who cannot wait. */
const onSignal = (stop: () => Promise<void>): void => {
  let stopping = false
  const end = () => {
    if (stopping) process.exit(1)
    stopping = true
    stop().catch(fail)
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
}

/** Wrong input, and what kept us from starting: a sentence for the operator, no stack. */
const fail = (error: unknown): void => {
  const problems = error instanceof ConfigError ? error.problems : [(error as Error).message]
  for (const problem of problems) process.stderr.write(`quay-proxy: ${problem}\n`)
  process.exitCode = 2
}

const version = (): string =>
  (createRequire(import.meta.url)('../package.json') as { version: string }).version

const commands: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  serve,
  sandbox,
  'audit-report': auditReport,
  explain,
  cache,
}

const run = async (args: readonly string[]): Promise<void> => {
  const [first] = args
  if (args.includes('--help') || args.includes('-h')) return print(help())
  if (args.includes('--version')) return print(version())
  if (first === undefined || first.startsWith('-')) return await serve(args)
  const command = Object.hasOwn(commands, first) ? commands[first] : undefined
  if (command === undefined)
    throw new ConfigError([`${JSON.stringify(first)} is not a command; --help lists them`])
  await command(args.slice(1))
}

run(process.argv.slice(2)).catch(fail)
