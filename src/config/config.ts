/**
 * Flags, environment and files -> one frozen Config, or every problem at once. No side effects: the files are read, nothing is
 * started.
 */
import { collectFlags, type Environment, type GivenFlags } from './command-line.ts'
import { filesOf, type ConfigFiles } from './files.ts'
import { flags, type FlagName, type FlagValues } from './flags.ts'
import type { LogLevel } from '../telemetry/logging.ts'
import type { ListenAddress } from './value-parsers.ts'

export interface Config extends ConfigFiles {
  readonly listen: ListenAddress
  readonly metricsListen: ListenAddress | undefined
  /** Where clients find us: the realm and the service of every challenge. */
  readonly exposed: URL
  readonly gracePeriodMs: number
  readonly tokenValidityMs: number
  readonly upstream: URL
  readonly upstreamRepository: string
  readonly maxUpstreamConnections: number
  readonly upstreamLimits: 'quay' | 'none'
  readonly replicas: number
  /** Valkey or Redis; undefined where this process shares nothing. */
  readonly sharedState: URL | undefined
  readonly stateDir: string | undefined
  readonly stallTimeoutMs: number
  readonly retryTimeoutMs: number
  readonly manifestCacheBytes: number
  /** Undefined where nothing is cached on a disk. */
  readonly cacheDir: string | undefined
  readonly cacheBytes: number
  readonly tagTtlMs: number
  readonly staleIfErrorMs: number
  readonly blobDelivery: 'stream' | 'redirect'
  readonly kubeconfig: string | undefined
  readonly qciNamespace: string
  readonly restrictedNamespaces: readonly string[]
  readonly unknownDigests: 'allow' | 'deny'
  readonly imageStreams: 'off' | 'watch'
  readonly restrictedIndex: 'on' | 'off'
  readonly restrictedIndexIntervalMs: number
  readonly authorization: 'enforce' | 'audit'
  readonly allowAnonymous: boolean
  readonly tokenAudiences: readonly string[]
  readonly tokenFormat: 'any' | 'openshift'
  readonly identityTtlMs: number
  readonly allowTtlMs: number
  readonly denyTtlMs: number
  readonly authorizationGraceMs: number
  readonly trustedProxies: readonly string[]
  readonly proxyProtocol: boolean
  readonly logLevel: LogLevel
  /** What the operator should know: flags that mean nothing any more, files that should not stay as they are. */
  readonly warnings: readonly string[]
}

/** Every problem of a command line, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/** @throws {ConfigError} */
export const parseConfig = (args: readonly string[], environment: Environment): Config => {
  const problems: string[] = []
  const { texts, warnings } = collectFlags(args, environment, problems)
  const values = parseValues(texts, problems)
  const [host, url] = [texts.get('exposed-host'), texts.get('exposed-url')]
  if (host !== undefined && url !== undefined)
    problems.push(`${url.origin} stands instead of ${host.origin}: give one`)
  if (values['proxy-protocol'] === true && values['trusted-proxies']?.length === 0)
    problems.push('--proxy-protocol is read from --trusted-proxies alone: name the load balancers there')
  if (values['cache-dir'] !== undefined && values['blob-delivery'] === 'redirect')
    problems.push('--cache-dir has no blobs to keep with --blob-delivery=redirect: give one of the two')
  const fileWarnings: string[] = []
  const files = filesOf(values, problems, fileWarnings)
  if (problems.length > 0 || files === undefined) throw new ConfigError(problems)
  const settings = settingsOf(values)
  return Object.freeze({
    ...settings,
    ...files,
    warnings: [...warnings, ...cautions(settings), ...fileWarnings],
  })
}

/** What is right to ask for, and must not be forgotten. */
const cautions = ({ authorization }: Pick<Config, 'authorization'>): readonly string[] =>
  authorization === 'audit'
    ? [
        '--authorization=audit enforces the rule of qci-appci: every service account of the cluster may pull everything',
      ]
    : []

const parseValues = (texts: GivenFlags['texts'], problems: string[]): FlagValues => {
  const entries = Object.entries(flags).map(([name, { fallback, expected, parse }]) => {
    const { text, origin } = texts.get(name) ?? { text: fallback, origin: `--${name}` }
    if (text === undefined) return [name, undefined]
    const value = parse(text)
    if (value === undefined)
      problems.push(`${origin}=${withoutUser(text)} is not valid: expected ${expected}`)
    return [name, value]
  })
  return Object.fromEntries(entries) as FlagValues
}

/** Attack: a URL with a password in it, given to any flag, would stand in the log of a start that failed. */
const withoutUser = (text: string): string =>
  text.includes('@') ? `***${text.slice(text.lastIndexOf('@'))}` : text

/** Only read once no problem was found, so that every value with a fallback is there. */
const settingsOf = (values: FlagValues) => {
  const all = values as { readonly [Name in FlagName]: NonNullable<FlagValues[Name]> }
  return {
    listen: all['listen-addr'],
    metricsListen: values['metrics-addr'],
    exposed: values['exposed-url'] ?? new URL(`https://${all['exposed-host']}`),
    gracePeriodMs: all['grace-period'],
    tokenValidityMs: all['token-validity'],
    upstream: all.upstream,
    upstreamRepository: all['upstream-repository'],
    maxUpstreamConnections: all['max-upstream-connections'],
    upstreamLimits: all['upstream-limits'],
    replicas: all.replicas,
    sharedState: values['shared-state'],
    stateDir: values['state-dir'],
    stallTimeoutMs: all['stall-timeout'],
    retryTimeoutMs: all['retry-timeout'],
    manifestCacheBytes: all['manifest-cache-bytes'],
    cacheDir: values['cache-dir'],
    cacheBytes: all['cache-bytes'],
    tagTtlMs: all['tag-ttl'],
    staleIfErrorMs: all['stale-if-error'],
    blobDelivery: all['blob-delivery'],
    kubeconfig: values.kubeconfig,
    qciNamespace: all['qci-namespace'],
    restrictedNamespaces: all['restricted-namespaces'],
    unknownDigests: all['unknown-digests'],
    imageStreams: all.imagestreams,
    restrictedIndex: all['restricted-index'],
    restrictedIndexIntervalMs: all['restricted-index-interval'],
    authorization: all.authorization,
    allowAnonymous: all['allow-anonymous'],
    tokenAudiences: all['token-audience'],
    tokenFormat: all['token-format'],
    identityTtlMs: all['identity-ttl'],
    allowTtlMs: all['allow-ttl'],
    denyTtlMs: all['deny-ttl'],
    authorizationGraceMs: all['authorization-grace'],
    trustedProxies: all['trusted-proxies'],
    proxyProtocol: all['proxy-protocol'],
    logLevel: all['log-level'],
  }
}
