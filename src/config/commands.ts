/**
 * The arguments of the commands that ask something and end: `audit-report` and `explain`. What they share with `serve` is
 * called, written and defaulted as there, the environment included.
 */
import { parseArgs } from 'node:util'
import type { Environment } from './command-line.ts'
import { ConfigError } from './config.ts'
import { environmentName, flags, type FlagName, type FlagValues } from './flags.ts'

export interface AuditReportArguments {
  /** None: standard input. */
  readonly files: readonly string[]
  readonly json: boolean
  readonly qciNamespace: string
}

/** @throws {ConfigError} */
export const parseAuditReportArguments = (
  args: readonly string[],
  environment: Environment,
): AuditReportArguments => {
  const { positionals, values, given } = parse(args, ['qci-namespace'], environment, ['json'])
  return { files: positionals, json: given.includes('json'), qciNamespace: values['qci-namespace'] }
}

export interface ExplainArguments {
  readonly reference: string
  readonly qciNamespace: string
  readonly restrictedNamespaces: readonly string[]
  readonly unknownDigests: 'allow' | 'deny'
  readonly monorepo: string
}

/** @throws {ConfigError} */
export const parseExplainArguments = (
  args: readonly string[],
  environment: Environment,
): ExplainArguments => {
  const names = ['qci-namespace', 'restricted-namespaces', 'unknown-digests', 'upstream-repository'] as const
  const { positionals, values } = parse(args, names, environment)
  const [reference] = positionals
  if (reference === undefined || positionals.length > 1)
    throw new ConfigError(['explain takes one reference, such as ocp/4.5:base, and flags'])
  return {
    reference,
    qciNamespace: values['qci-namespace'],
    restrictedNamespaces: values['restricted-namespaces'],
    unknownDigests: values['unknown-digests'],
    monorepo: values['upstream-repository'],
  }
}

/** Those that always have a value. */
type Values<Name extends FlagName> = { readonly [Key in Name]: NonNullable<FlagValues[Key]> }

const parse = <Name extends FlagName>(
  args: readonly string[],
  names: readonly Name[],
  environment: Environment,
  switches: readonly string[] = [],
) => {
  const problems: string[] = []
  const { values, positionals } = parseGiven(args, names, switches)
  const entries = names.map((name) => {
    const { fallback, expected, parse: parseValue } = flags[name]
    const argument = values[name]
    const variable = environmentName(name)
    const origin =
      typeof argument === 'string' || environment[variable] === undefined ? `--${name}` : variable
    const text = typeof argument === 'string' ? argument : (environment[variable] ?? String(fallback))
    const value = parseValue(text)
    if (value === undefined) problems.push(`${origin}=${text} is not valid: expected ${expected}`)
    return [name, value]
  })
  if (problems.length > 0) throw new ConfigError(problems)
  const given = switches.filter((name) => values[name] === true)
  return { positionals, given, values: Object.fromEntries(entries) as Values<Name> }
}

const parseGiven = (
  args: readonly string[],
  names: readonly string[],
  switches: readonly string[],
): { readonly values: Readonly<Record<string, unknown>>; readonly positionals: readonly string[] } => {
  const options = Object.fromEntries([
    ...names.map((name) => [name, { type: 'string' as const }] as const),
    ...switches.map((name) => [name, { type: 'boolean' as const }] as const),
  ])
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    throw new ConfigError([(error as Error).message])
  }
}
