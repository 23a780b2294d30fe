/**
 * The texts that were given for flags: by the command line, else by the environment. What they mean comes later.
 */
import { parseArgs } from 'node:util'
import { aliases, environmentName, flags, deprecatedFlags, booleanFlags, type FlagName } from './flags.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface GivenFlags {
  /** Canonical flag name -> its text, and where it was given, for messages. */
  readonly texts: ReadonlyMap<string, { readonly text: string; readonly origin: string }>
  /** Flags that mean nothing any more, each with the reason. */
  readonly warnings: readonly string[]
}

/** Problems are added to `problems`, each a sentence that names the flag. */
export const collectFlags = (
  args: readonly string[],
  environment: Environment,
  problems: string[],
): GivenFlags => {
  const texts = new Map<string, { text: string; origin: string }>()
  const warnings: string[] = []
  const names = [...Object.keys(flags), ...Object.keys(aliases), ...Object.keys(deprecatedFlags)]
  const { options, positionals } = tokensOf(args, names, booleanFlags)
  for (const text of positionals) problems.push(`${JSON.stringify(text)} is not a flag; flags begin with --`)
  for (const { name, text: given } of options) {
    const canonical = aliases[name] ?? name
    const text = given ?? (booleanFlags.has(canonical) ? 'true' : undefined)
    if (Object.hasOwn(deprecatedFlags, canonical))
      warnings.push(`--${name} has no effect: ${deprecatedFlags[canonical]}`)
    else if (!isFlag(canonical)) problems.push(`--${name} is not a flag; --help lists them`)
    else if (texts.has(canonical)) problems.push(`--${name} is given twice`)
    else if (text === undefined) problems.push(`--${name} needs a value: ${flags[canonical].expected}`)
    else texts.set(canonical, { text, origin: `--${name}` })
  }
  for (const { variable, name, text } of variablesOf(environment)) {
    if (name === undefined) problems.push(`${variable} is not the name of a flag; --help lists them`)
    else if (!texts.has(name)) texts.set(name, { text, origin: variable })
  }
  return { texts, warnings }
}

const isFlag = (name: string): name is FlagName => Object.hasOwn(flags, name)

/**
 * In their order, also those that are of no such name. Go's flag package takes `-flag` for `--flag`: the predecessor's Deployment
 * may use either.
 */
export const tokensOf = (
  args: readonly string[],
  names: readonly string[],
  ofSwitches: ReadonlySet<string>,
) => {
  const long = args.map((arg) => arg.replace(/^-(?=[a-zA-Z])/, '--'))
  // Told that all are strings, the parser takes the next argument for the value of `--flag value`.
  const options = Object.fromEntries(
    names.map((name) => [name, { type: ofSwitches.has(name) ? ('boolean' as const) : ('string' as const) }]),
  )
  const { tokens } = parseArgs({ args: long, options, strict: false, allowPositionals: true, tokens: true })
  return {
    options: tokens
      .filter((token) => token.kind === 'option')
      .map(({ name, value }) => ({ name, text: value })),
    positionals: tokens.filter((token) => token.kind === 'positional').map(({ value }) => value),
  }
}

/**
 * Kubernetes puts variables into every pod for every Service of its namespace. One called quay-proxy gives QUAY_PROXY_PORT,
 * QUAY_PROXY_SERVICE_HOST, QUAY_PROXY_PORT_443_TCP_ADDR...: none of our business, and no reason not to start.
 */
const serviceLinkPattern =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]{1,15})?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/

const variablesOf = (environment: Environment) =>
  Object.entries(environment).flatMap(([variable, text]) => {
    if (!variable.startsWith('QUAY_PROXY_') || text === undefined || serviceLinkPattern.test(variable))
      return []
    const name = Object.keys(flags).find((candidate) => environmentName(candidate) === variable)
    return [{ variable, name, text }]
  })
