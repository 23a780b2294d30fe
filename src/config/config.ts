/**
 * Flags, environment and files -> one frozen Config, or every problem at once. The only side effect is that the files are read.
 */
import { join } from 'node:path'
import { collectFlags, type CommandSyntax, type Environment } from './command-line.ts'
import { ConfigError } from './config-error.ts'
import { fileKeys, readFiles, type ConfigFiles } from './read-files.ts'
import { parseValues } from './flag-values.ts'
import { addS3Problems, cautionsAboutS3 } from './s3-values.ts'
import { aliases, deprecatedFlags, flags, type FlagKey, type FlagValues } from './flags.ts'
import { settingsOf, type Setting } from './settings.ts'

/** Flags whose values are not in the Config, because the Config has values that are derived from them. */
const replacedKeys = ['exposedHost', 'exposedUrl', ...fileKeys] as const satisfies readonly FlagKey[]
type SettingKey = Exclude<FlagKey, (typeof replacedKeys)[number]>

/** Most values are those of the flag table, under their keys. */
export interface Config extends Pick<FlagValues, SettingKey>, ConfigFiles {
  /** The origin that clients use: the realm and the service of every challenge. */
  readonly exposed: URL
  /** Every flag of `serve`, and where its value comes from. */
  readonly settings: readonly Setting[]
  /** The standard variables of OpenTelemetry. */
  readonly openTelemetry: Environment
  /** For the operator: flags without an effect, and files that should be changed. */
  readonly warnings: readonly string[]
}

const syntax: CommandSyntax<typeof flags> = {
  flags,
  aliases,
  deprecated: deprecatedFlags,
  checksEnvironment: true,
}

/** @throws {ConfigError} */
export const parseConfig = (args: readonly string[], environment: Environment): Config => {
  const problems: string[] = []
  const { given, warnings } = collectFlags(syntax, args, environment, problems)
  const isMistyped = problems.length > 0
  const values = parseValues(flags, given, problems)
  // Missing flags are not reported now, because the mistyped flag may be one of them.
  if (isMistyped) throw new ConfigError(problems)
  const [host, url] = [given.get('exposedHost'), given.get('exposedUrl')]
  if (host !== undefined && url !== undefined)
    problems.push(`${url.origin} replaces ${host.origin}: give only one`)
  if (values.proxyProtocol === true && values.trustedProxies?.length === 0)
    problems.push('--proxy-protocol is read from --trusted-proxies alone: name the load balancers there')
  addS3Problems(values, problems)
  if (values.logins === 'robots') problems.push(...clusterFlagsOf(given))
  const fileWarnings: string[] = []
  const files = readFiles(values, problems, fileWarnings)
  if (problems.length > 0 || files === undefined) throw new ConfigError(problems)
  // Without a problem, every flag that has a fallback has a value.
  const settings = withoutCluster(withExposed(values as FlagValues))
  return Object.freeze({
    ...settings,
    ...files,
    settings: settingsOf(flags, given),
    openTelemetry: openTelemetryOf(environment),
    warnings: [...warnings, ...cautions(settings), ...fileWarnings],
  })
}

const openTelemetryOf = (environment: Environment): Environment =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => name.startsWith('OTEL_')))

/** A robot may pull everything, so a proxy for robots need not know which images are restricted. */
const withoutCluster = <Settings extends Pick<FlagValues, 'logins' | 'restrictedIndex'>>(
  settings: Settings,
): Settings => (settings.logins === 'robots' ? { ...settings, restrictedIndex: 'off' } : settings)

/** The flags that need a cluster, which a proxy for robots does not have. */
const clusterFlagsOf = (given: ReadonlyMap<string, unknown>): readonly string[] =>
  (['kubeconfig', 'allowAnonymous', 'authorization', 'imageStreams', 'restrictedIndex', 'mirrorUrl'] as const)
    .filter((key) => given.has(key))
    .map((key) => `--logins=robots uses no cluster: leave out --${flags[key].name}`)

/** A valid setting of which the operator should be reminded. */
const cautions = ({
  authorization,
  cacheS3Endpoint,
}: Pick<Config, 'authorization' | 'cacheS3Endpoint'>): readonly string[] => [
  ...(authorization === 'audit'
    ? [
        '--authorization=audit enforces the rule of qci-appci: every service account of the cluster may pull everything',
      ]
    : []),
  ...cautionsAboutS3({ cacheS3Endpoint }),
]

const withExposed = (values: FlagValues) => {
  const { exposedHost, exposedUrl = new URL(`https://${exposedHost}`) } = values
  const replaced: ReadonlySet<string> = new Set(replacedKeys)
  const kept = Object.fromEntries(Object.entries(values).filter(([key]) => !replaced.has(key)))
  return { ...(kept as Pick<FlagValues, SettingKey>), stateDir: stateDirOf(values), exposed: exposedUrl }
}

/**
 * A warm cache can replace upstream after a restart only if the facts about digests were stored as well. A proxy for robots needs no facts.
 */
const stateDirOf = ({ stateDir, cacheDir, logins }: FlagValues): string | undefined =>
  stateDir === undefined && cacheDir !== undefined && logins === 'all' ? join(cacheDir, 'state') : stateDir
