/**
 * The texts that were given for the flags of a command: by the command line, or otherwise by the environment.
 */
import { parseArgs } from 'node:util'
import { didYouMean } from './did-you-mean.ts'
import type { Flag, FlagTable } from './flag-kinds.ts'
import { environmentName, type DeprecatedFlag } from './flags.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface CommandSyntax<Table extends FlagTable = FlagTable> {
  /** Named in messages; undefined for `serve`, which needs no name. */
  readonly command?: string
  readonly flags: Table
  /** Old name -> key of the flag. */
  readonly aliases?: Readonly<Record<string, keyof Table & string>>
  readonly deprecated?: Readonly<Record<string, DeprecatedFlag>>
  /** Whether arguments that are not flags have a meaning. */
  readonly takesPositionals?: boolean
  /** Whether every variable QUAY_PROXY_* has to be that of a flag. */
  readonly checksEnvironment?: boolean
}

/** `origin` is where the flag was given: for messages. */
export interface GivenFlag {
  readonly texts: readonly string[]
  readonly origin: string
}

export interface GivenFlags {
  /** By key. */
  readonly given: ReadonlyMap<string, GivenFlag>
  readonly positionals: readonly string[]
  /** Flags that have no effect, each with the reason. */
  readonly warnings: readonly string[]
}

/** @param problems is added to: a sentence for each, which names the flag */
export const collectFlags = (
  syntax: CommandSyntax,
  args: readonly string[],
  environment: Environment,
  problems: string[],
): GivenFlags => {
  const { takesPositionals = false, deprecated = {} } = syntax
  const given = new Map<string, GivenFlag>()
  const warnings: string[] = []
  const rows = rowsOf(syntax)
  const isKnown = (name: string): boolean => rows.has(name) || Object.hasOwn(deprecated, name)
  const { options, positionals } = tokensOf(args, formsOf(syntax, rows))
  // First, because other problems may come from it.
  for (const { name, typed } of options)
    if (!isKnown(name)) problems.push(unknownFlag(typed, [...rows.keys()], syntax))
  if (!takesPositionals)
    for (const text of positionals)
      problems.push(`${JSON.stringify(text)} is not a flag; flags begin with --`)
  for (const option of options) {
    const { name } = option
    const row = rows.get(name)
    if (Object.hasOwn(deprecated, name)) warnings.push(`--${name} has no effect: ${deprecated[name]?.reason}`)
    else if (row !== undefined) addOption(row, option, given, problems)
  }
  addVariables(syntax, environment, given, problems)
  return { given, positionals, warnings }
}

type Row = readonly [key: string, flag: Flag]

/** By each name under which a flag may be given. */
const rowsOf = ({ flags, aliases = {} }: CommandSyntax): ReadonlyMap<string, Row> => {
  const rows = Object.entries(flags)
  const old = Object.entries(aliases).map(
    ([name, key]) => [name, rows.find(([own]) => own === key)!] as const,
  )
  return new Map([...rows.map((row) => [row[1].name, row] as const), ...old])
}

const formsOf = ({ deprecated = {} }: CommandSyntax, rows: ReadonlyMap<string, Row>) =>
  new Map([
    ...[...rows].map(([name, [, { form }]]) => [name, form] as const),
    ...Object.entries(deprecated).map(([name, { form }]) => [name, form] as const),
  ])

const unknownFlag = (typed: string, names: readonly string[], { command }: CommandSyntax): string => {
  const meant = didYouMean(typed.replace(/^-+/, ''), [...names, 'help', 'version'], '--')
  return `${typed} is not a flag${command === undefined ? '' : ` of ${command}`}${meant} --help lists them`
}

interface Option {
  readonly name: string
  /** With the hyphens that were typed, without the value. */
  readonly typed: string
  readonly text: string | undefined
}

const addOption = (
  [key, { form, expected }]: Row,
  { name, text }: Option,
  given: Map<string, GivenFlag>,
  problems: string[],
): void => {
  const { texts: earlier = [] } = given.get(key) ?? {}
  const value = text ?? (form === 'boolean' || form === 'switch' ? 'true' : undefined)
  if (earlier.length > 0 && form !== 'repeated') problems.push(`--${name} is given twice`)
  else if (form === 'switch' && text !== undefined) problems.push(`--${name} takes no value`)
  else if (value === undefined) problems.push(`--${name} needs a value: ${expected}`)
  else given.set(key, { texts: [...earlier, value], origin: `--${name}` })
}

/**
 * In the order of `args`, also those with unknown names. Go's flag package takes `-flag` for `--flag`: the Deployment of qci-appci may use
 * either.
 */
export const tokensOf = (args: readonly string[], forms: ReadonlyMap<string, Flag['form']>) => {
  const long = args.map((arg) => arg.replace(/^-(?=[a-zA-Z])/, '--'))
  // For a string, the parser takes the next argument as the value of `--flag value`.
  const options = Object.fromEntries(
    [...forms].map(([name, form]) => [
      name,
      { type: form === 'boolean' || form === 'switch' ? ('boolean' as const) : ('string' as const) },
    ]),
  )
  const { tokens } = parseArgs({ args: long, options, strict: false, allowPositionals: true, tokens: true })
  const given = tokens.filter((token) => token.kind === 'option')
  // `--cache-dri DIR`: DIR belongs to the mistyped flag.
  const mistyped = new Set(
    given.filter(({ name, value }) => !forms.has(name) && value === undefined).map(({ index }) => index),
  )
  return {
    options: given.map(({ name, value, index }): Option => ({
      name,
      typed: args[index]!.split('=', 1)[0]!,
      text: value,
    })),
    positionals: tokens
      .filter((token) => token.kind === 'positional')
      .filter(({ index }) => !mistyped.has(index - 1))
      .map(({ value }) => value),
  }
}

const addVariables = (
  { flags, checksEnvironment = false }: CommandSyntax,
  environment: Environment,
  given: Map<string, GivenFlag>,
  problems: string[],
): void => {
  const keys = new Map(Object.entries(flags).map(([key, { name }]) => [environmentName(name), key]))
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('QUAY_PROXY_') || text === undefined || serviceLinkPattern.test(variable))
      continue
    const key = keys.get(variable)
    if (key === undefined && checksEnvironment)
      problems.push(
        `${variable} is not the name of a flag${didYouMean(variable, [...keys.keys()])} --help lists them`,
      )
    if (key !== undefined && !given.has(key)) given.set(key, { texts: [text], origin: variable })
  }
}

/**
 * Kubernetes puts variables into every pod for every Service of its namespace. A Service called quay-proxy gives QUAY_PROXY_PORT,
 * QUAY_PROXY_SERVICE_HOST and QUAY_PROXY_PORT_443_TCP_ADDR, which must not keep the proxy from starting.
 */
const serviceLinkPattern =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]{1,15})?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/
