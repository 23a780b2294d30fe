/**
 * The command line of `ci-images-mirror`. The flags of the program that it replaces are all accepted, with one dash or two.
 */
import { tokensOf } from '../config/command-line.ts'
import { reportFormats, type ReportFormat } from './validation/report.ts'

export interface MirrorArguments {
  readonly command: 'validate' | 'plan' | undefined
  /** Files. */
  readonly config: string | undefined
  readonly base: string | undefined
  /** A checkout of openshift/release. */
  readonly releaseRepository: string | undefined
  /** A docker auth file; without it, all registries are read anonymously. */
  readonly registryConfig: string | undefined
  readonly format: ReportFormat
  /** Sentences about flags that have no effect. */
  readonly notices: readonly string[]
}

/** What is wrong with the arguments: a sentence each. */
export class ArgumentsError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('; '))
    this.problems = problems
  }
}

const valueFlags = ['config', 'base', 'format', 'registry-config', 'release-repo-git-sync-path']
const validateFlag = 'validate-config-only'
const distributor = 'quayIOCIImagesDistributorOptions.'
/** Those of the former program that mean nothing as long as this program does not write. */
const otherValueFlags = [
  'leader-election-namespace',
  'leader-election-suffix',
  'enable-controller',
  'port',
  'gracePeriod',
  `${distributor}additional-image-stream-tag`,
  `${distributor}additional-image-stream`,
  `${distributor}additional-image-stream-namespace`,
  `${distributor}ignore-image-stream-tag`,
]
const switches = new Set([validateFlag, 'dry-run', 'only-valid-manifest-v2-images'])
const names = [...valueFlags, ...otherValueFlags, ...switches]
const forms = new Map(names.map((name) => [name, switches.has(name) ? 'boolean' : 'value'] as const))

/** @throws {ArgumentsError} */
export const parseMirrorArguments = (args: readonly string[]): MirrorArguments => {
  const { options, positionals } = tokensOf(args, forms)
  const isPlan = positionals[0] === 'plan'
  const problems = positionals
    .slice(isPlan ? 1 : 0)
    .map((text) => `${JSON.stringify(text)} is not a flag; flags begin with --`)
  const notices: string[] = []
  const texts = new Map<string, string>()
  for (const { name, text } of options)
    if (!names.includes(name)) problems.push(`--${name} is not a flag; --help lists them`)
    else if (!switches.has(name) && text === undefined) problems.push(`--${name} needs a value`)
    else if (switches.has(name) && !['true', 'false', undefined].includes(text))
      problems.push(`--${name}=${text} is not valid: expected true or false`)
    else texts.set(name, text ?? 'true')
  for (const name of texts.keys())
    if (name !== validateFlag && !valueFlags.includes(name))
      notices.push(`--${name} has no effect: nothing is written`)
  const format = formatOf(texts.get('format'), problems)
  if (problems.length > 0) throw new ArgumentsError(problems)
  return {
    command: isPlan ? 'plan' : texts.get(validateFlag) === 'true' ? 'validate' : undefined,
    config: texts.get('config'),
    base: texts.get('base'),
    releaseRepository: texts.get('release-repo-git-sync-path'),
    registryConfig: texts.get('registry-config'),
    format,
    notices,
  }
}

const formatOf = (text: string | undefined, problems: string[]): ReportFormat => {
  const format = reportFormats.find((candidate) => candidate === (text ?? 'plain'))
  if (format === undefined)
    problems.push(`--format=${text} is not valid: expected ${reportFormats.join(', ')}`)
  return format ?? 'plain'
}
