/**
 * The arguments of the other commands: `sandbox`, `audit-report` and `explain`. What they share with `serve` is called, written
 * and defaulted as there, the environment included; so are mistakes.
 */
import { tokensOf, type Environment } from './command-line.ts'
import { ConfigError } from './config.ts'
import { environmentName, flags, type FlagName, type FlagValues } from './flags.ts'

export interface SandboxArguments {
  readonly check: boolean
  /** Folders; none for those of the project. */
  readonly rbac: readonly string[]
  /** Who logs in; none for some of those whom the RBAC names. */
  readonly as: readonly string[]
  /** 0 for any free one. */
  readonly port: number | undefined
}

const expectedOfSandbox = {
  rbac: 'a folder of RBAC manifests',
  as: 'a user, group:NAME, or system:serviceaccount:NAMESPACE:NAME',
  port: 'a port, or 0 for any free one',
} as const

/** @throws {ConfigError} */
export const parseSandboxArguments = (args: readonly string[]): SandboxArguments => {
  const problems: string[] = []
  const lists = { rbac: [] as string[], as: [] as string[] }
  const { texts, positionals } = gather('sandbox', args, expectedOfSandbox, ['check'], problems, lists)
  for (const text of positionals) problems.push(`${JSON.stringify(text)} is not a flag; flags begin with --`)
  for (const name of ['rbac', 'as'] as const)
    if (lists[name].includes('')) problems.push(notValid(`--${name}`, '', expectedOfSandbox[name]))
  const port = texts.get('port')
  if (port !== undefined && (!/^\d{1,5}$/.test(port) || Number(port) > 65_535))
    problems.push(notValid('--port', port, expectedOfSandbox.port))
  if (problems.length > 0) throw new ConfigError(problems)
  return { check: texts.has('check'), ...lists, port: port === undefined ? undefined : Number(port) }
}

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
  const { positionals, values, texts } = parse('audit-report', args, ['qci-namespace'], environment, ['json'])
  return { files: positionals, json: texts.has('json'), qciNamespace: values['qci-namespace'] }
}

export interface ExplainArguments {
  readonly reference: string
  readonly qciNamespace: string
  readonly restrictedNamespaces: readonly string[]
  readonly unknownDigests: 'allow' | 'deny'
  readonly monorepo: string
  readonly exposedHost: string
}

/** @throws {ConfigError} */
export const parseExplainArguments = (
  args: readonly string[],
  environment: Environment,
): ExplainArguments => {
  const names = [
    'qci-namespace',
    'restricted-namespaces',
    'unknown-digests',
    'upstream-repository',
    'exposed-host',
  ] as const
  const { positionals, values } = parse('explain', args, names, environment)
  const [reference] = positionals
  if (reference === undefined || positionals.length > 1)
    throw new ConfigError(['explain takes one reference, such as ocp/4.5:base, and flags'])
  return {
    reference,
    qciNamespace: values['qci-namespace'],
    restrictedNamespaces: values['restricted-namespaces'],
    unknownDigests: values['unknown-digests'],
    monorepo: values['upstream-repository'],
    exposedHost: values['exposed-host'],
  }
}

export interface CacheArguments {
  readonly action: 'stats' | 'verify' | 'rm'
  readonly directory: string
  /** Of `rm`. */
  readonly target: string | undefined
}

const cacheActions = ['stats', 'verify', 'rm'] as const

/** @throws {ConfigError} */
export const parseCacheArguments = (args: readonly string[], environment: Environment): CacheArguments => {
  const { positionals, texts, values } = parse('cache', args, ['cache-dir'], environment)
  const [first, target, ...more] = positionals
  const action = cacheActions.find((name) => name === first)
  if (action === undefined || (target === undefined) === (action === 'rm') || more.length > 0)
    throw new ConfigError(['cache takes stats, verify, or rm with a digest or a tag, and --cache-dir=DIR'])
  if (!texts.has('cache-dir') && environment[environmentName('cache-dir')] === undefined)
    throw new ConfigError(['cache needs --cache-dir=DIR, the directory of the proxy'])
  return { action, directory: values['cache-dir'], target }
}

/** Those that always have a value. */
type Values<Name extends FlagName> = { readonly [Key in Name]: NonNullable<FlagValues[Key]> }

const parse = <Name extends FlagName>(
  command: string,
  args: readonly string[],
  names: readonly Name[],
  environment: Environment,
  switches: readonly string[] = [],
) => {
  const problems: string[] = []
  const ofValues = Object.fromEntries(names.map((name) => [name, flags[name].expected]))
  const { texts, positionals } = gather(command, args, ofValues, switches, problems)
  const entries = names.map((name) => {
    const { fallback, expected, parse: parseValue } = flags[name]
    const variable = environmentName(name)
    const origin = texts.has(name) || environment[variable] === undefined ? `--${name}` : variable
    const text = texts.get(name) ?? environment[variable] ?? String(fallback)
    const value = parseValue(text)
    if (value === undefined) problems.push(notValid(origin, text, expected))
    return [name, value]
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return { positionals, texts, values: Object.fromEntries(entries) as Values<Name> }
}

/**
 * @param ofValues the flags of the command that take a value -> what it looks like
 * @param problems are added to
 * @param lists are added to: the flags that may be given several times
 */
const gather = (
  command: string,
  args: readonly string[],
  ofValues: Readonly<Record<string, string>>,
  switches: readonly string[],
  problems: string[],
  lists: Readonly<Record<string, string[]>> = {},
): { readonly texts: ReadonlyMap<string, string>; readonly positionals: readonly string[] } => {
  const names = [...Object.keys(ofValues), ...switches]
  const { options, positionals } = tokensOf(args, names, new Set(switches))
  const texts = new Map<string, string>()
  const add = (name: string, text: string) => lists[name]?.push(text) ?? texts.set(name, text)
  for (const { name, text } of options) {
    const isSwitch = switches.includes(name)
    if (!names.includes(name)) problems.push(`--${name} is not a flag of ${command}; --help lists them`)
    else if (texts.has(name)) problems.push(`--${name} is given twice`)
    else if (isSwitch && text !== undefined) problems.push(`--${name} takes no value`)
    else if (!isSwitch && text === undefined) problems.push(`--${name} needs a value: ${ofValues[name]}`)
    else add(name, text ?? '')
  }
  return { texts, positionals }
}

const notValid = (origin: string, text: string, expected: string): string =>
  `${origin}=${text} is not valid: expected ${expected}`
