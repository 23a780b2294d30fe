/**
 * The command line of `ci-images-mirror`. It accepts all flags of the former program, with one dash or two.
 */
import { tokensOf } from '../config/command-line.ts'
import { didYouMean } from '../config/did-you-mean.ts'
import { logLevels, type LogLevel } from '../telemetry/logging.ts'
import { ArgumentValues, defaults, type Texts } from './argument-values.ts'
import type { GoPattern } from './config/go-pattern.ts'
import { distributorArguments, distributorNotices, onlyValidFlag } from './distributor-arguments.ts'
import type { DistributorOptions } from './distributor/distributor-options.ts'
import { reportFormats, type ReportFormat } from './validation/report.ts'

/** `serve`: the service. */
export const commands = ['serve', 'validate', 'plan', 'explain', 'sync'] as const
export type Command = (typeof commands)[number]

export interface MirrorArguments {
  readonly command: Command
  /** The image of `explain` and `sync`: `ocp/ubi:9`. */
  readonly target: string | undefined
  /** Files. */
  readonly config: string | undefined
  readonly base: string | undefined
  /** A checkout of openshift/release. */
  readonly releaseRepository: string | undefined
  /** A docker auth file; without it, all registries are read anonymously. */
  readonly registryConfig: string | undefined
  /** Undefined: the service account of the pod. */
  readonly kubeconfig: string | undefined
  readonly format: ReportFormat
  /** For `validate`: whether it also reads the sources from their registries, and for how many milliseconds at most. */
  readonly isOnline: boolean
  readonly onlineTimeoutMs: number
  readonly leaderElectionNamespace: string
  readonly leaderElectionSuffix: string
  readonly dryRun: boolean
  readonly port: number
  readonly metricsPort: number
  readonly gracePeriodMs: number
  /** Milliseconds between two passes. */
  readonly intervalMs: number
  readonly qci: { readonly registry: string; readonly repository: string }
  /** The origins of registries that are not at `https://HOST`. */
  readonly origins: ReadonlyMap<string, URL>
  /** Patterns of targets whose signatures, attestations and SBOMs are copied, too. */
  readonly attachments: readonly GoPattern[]
  /** The URL of the service, for `explain` and `sync`. */
  readonly url: URL | undefined
  readonly logLevel: LogLevel
  /** The watch of all ImageStreams; undefined if it is not enabled. */
  readonly distributor: DistributorOptions | undefined
  /** Sentences about flags that have no effect, or lack one. */
  readonly notices: readonly string[]
}

/** The mistakes in the arguments, a sentence for each. */
export class ArgumentsError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('; '))
    this.problems = problems
  }
}

const validateFlag = 'validate-config-only'
const onlineFlag = 'online'
const switches = new Set([validateFlag, onlineFlag, 'dry-run', onlyValidFlag])
const names = [...new Set([...Object.keys(defaults), ...switches])]
const flagNames = [...names, 'help', 'version']
const forms = new Map(names.map((name) => [name, switches.has(name) ? 'boolean' : 'value'] as const))

/** @param environment only KUBECONFIG is read from it. @throws {ArgumentsError} */
export const parseMirrorArguments = (
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): MirrorArguments => {
  const problems: string[] = []
  const { options, positionals } = tokensOf(args, forms)
  const texts = textsOf(options, problems)
  const isSet = (name: string): boolean => texts.get(name)?.at(-1) === 'true'
  const commandAndTarget = commandOf(positionals, isSet(validateFlag), problems)
  const values = new ArgumentValues(texts, problems)
  const onlyValidManifests = texts.get(onlyValidFlag)?.at(-1) !== 'false'
  const distributor = distributorArguments(values, { onlyValidManifests, problems })
  const parsed: MirrorArguments = {
    ...commandAndTarget,
    config: values.text('config'),
    base: values.text('base'),
    releaseRepository: values.text('release-repo-git-sync-path'),
    registryConfig: values.text('registry-config'),
    kubeconfig: values.text('kubeconfig') ?? environment['KUBECONFIG'],
    format: values.oneOf('format', reportFormats),
    isOnline: isSet(onlineFlag),
    onlineTimeoutMs: values.duration('online-timeout'),
    leaderElectionNamespace: values.text('leader-election-namespace') as string,
    leaderElectionSuffix: values.text('leader-election-suffix') as string,
    dryRun: isSet('dry-run'),
    port: values.port('port'),
    metricsPort: values.port('metrics-port'),
    gracePeriodMs: values.duration('gracePeriod'),
    intervalMs: values.duration('interval'),
    qci: values.repository('qci'),
    origins: values.origins('registry-origin'),
    attachments: values.patterns('attachments'),
    url: values.url('url'),
    logLevel: values.oneOf('log-level', logLevels),
    distributor,
    notices: distributorNotices(new Set(texts.keys()), distributor),
  }
  if (parsed.isOnline && parsed.command !== 'validate')
    problems.push(`--${onlineFlag} is a flag of validate: ci-images-mirror validate --${onlineFlag}`)
  if (problems.length > 0) throw new ArgumentsError(problems)
  return parsed
}

const textsOf = (
  options: readonly { readonly name: string; readonly text: string | undefined }[],
  problems: string[],
): Texts => {
  const texts = new Map<string, readonly string[]>()
  for (const { name, text } of options)
    if (!names.includes(name))
      problems.push(`--${name} is not a flag${didYouMean(name, flagNames, '--')} --help lists them`)
    else if (!switches.has(name) && text === undefined) problems.push(`--${name} needs a value`)
    else if (switches.has(name) && !['true', 'false', undefined].includes(text))
      problems.push(`--${name}=${text} is not valid: expected true or false`)
    else texts.set(name, [...(texts.get(name) ?? []), text ?? 'true'])
  return texts
}

const commandOf = (
  [word, ...rest]: readonly string[],
  isValidation: boolean,
  problems: string[],
): Pick<MirrorArguments, 'command' | 'target'> => {
  if (word === undefined) return { command: isValidation ? 'validate' : 'serve', target: undefined }
  const command = commands.find((candidate) => candidate === word)
  if (command === undefined) {
    problems.push(`${JSON.stringify(word)} is not a command${didYouMean(word, commands)} --help lists them`)
    return { command: 'serve', target: undefined }
  }
  const takesTarget = command === 'explain' || command === 'sync'
  const [target] = takesTarget ? rest : []
  if (takesTarget && target === undefined)
    problems.push(`${command} needs an image: ci-images-mirror ${command} <namespace>/<name>:<tag>`)
  for (const text of rest.slice(takesTarget ? 1 : 0))
    problems.push(`${JSON.stringify(text)} is not a flag; flags begin with --`)
  return { command, target }
}
