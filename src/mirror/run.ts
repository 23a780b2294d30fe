/**
 * The commands of `ci-images-mirror`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentsError, parseMirrorArguments, type MirrorArguments } from './arguments.ts'
import { credentialFor } from '../secrets/docker-config.ts'
import { qciRegistry, qciRepository } from './config/mirror-config.ts'
import { decodeConfig, parseMirrorConfig } from './config/parse.ts'
import { Mirror } from './mirror.ts'
import { desiredImages } from './plan/desired.ts'
import { formatPlan } from './plan/table.ts'
import { Registries } from './registry/registries.ts'
import { noPermit } from './registry/write-permit.ts'
import { readPromotedTags } from './validation/promoted-tags.ts'
import { formatReport } from './validation/report.ts'
import { validate } from './validation/validate.ts'

export interface MirrorIo {
  /** Of a registry; for tests. */
  readonly originOf?: (host: string) => URL
  readonly print: (text: string) => void
  readonly printError: (text: string) => void
}

export const help = `ci-images-mirror: external images in the repository of OpenShift CI's images

  ci-images-mirror --validate-config-only --config=FILE [flags]
      --base=FILE                          the version before: what was wrong in it already is a warning
      --release-repo-git-sync-path=DIR     checkout of openshift/release, to find collisions with promoted tags
      --format=plain|json|github           for a person, for a program, as annotations of a pull request (default: plain)
  ci-images-mirror plan --config=FILE [--registry-config=FILE]
                                           what differs between the sources and QCI; writes nothing, and needs no push right
  ci-images-mirror --help

Exit code: 0 for a valid configuration and a plan that has read each image, 1 for any other, 2 for wrong arguments.
`

/** @returns the exit code */
export const run = async (args: readonly string[], io: MirrorIo): Promise<number> => {
  if (args.some((arg) => ['--help', '-help', '-h'].includes(arg))) {
    io.print(help)
    return 0
  }
  try {
    return await runCommand(parseMirrorArguments(args), io)
  } catch (error) {
    const problems = error instanceof ArgumentsError ? error.problems : [(error as Error).message]
    for (const problem of problems) io.printError(`ci-images-mirror: ${problem}`)
    return 2
  }
}

const runCommand = async (parsed: MirrorArguments, io: MirrorIo): Promise<number> => {
  const { command, config, notices } = parsed
  if (command === undefined)
    throw new ArgumentsError([
      'give --validate-config-only or plan: this version does not run as a service yet',
    ])
  if (config === undefined) throw new ArgumentsError(['give the configuration: --config=FILE'])
  for (const notice of notices) io.printError(`ci-images-mirror: ${notice}`)
  return command === 'plan' ? await plan(parsed, read(config), io) : validateConfig(parsed, config, io)
}

const plan = async ({ registryConfig }: MirrorArguments, text: string, io: MirrorIo): Promise<number> => {
  const { config, problems } = parseMirrorConfig(text)
  const [error] = problems.filter(({ severity }) => severity === 'error')
  if (error !== undefined) throw new ArgumentsError([`${error.message}; ${error.cure}`])
  const auths = registryConfig === undefined ? undefined : read(registryConfig)
  const registries = new Registries({
    permit: noPermit,
    credentialOf: (upstream, repository) =>
      auths === undefined ? undefined : credentialFor(auths, { upstream, repository }),
    ...(io.originOf && { originOf: io.originOf }),
  })
  const mirror = new Mirror({
    registries,
    qci: { registry: qciRegistry, repository: qciRepository },
  })
  try {
    const desired = desiredImages(config)
    const findings = await mirror.compare(desired)
    io.print(formatPlan(findings, desired.leftOut))
    return findings.some(({ state }) => state === 'missing' || state === 'unreadable') ? 1 : 0
  } finally {
    await registries.close()
  }
}

const validateConfig = (parsed: MirrorArguments, config: string, io: MirrorIo): number => {
  const { base, format } = parsed
  const validation = validate(read(config), {
    promoted: promotedIn(parsed.releaseRepository),
    base: base === undefined ? undefined : read(base),
  })
  io.print(formatReport(config, validation, format))
  return validation.isValid ? 0 : 1
}

const read = (file: string): string => {
  try {
    return decodeConfig(readFileSync(file))
  } catch (error) {
    throw new ArgumentsError([`${file} cannot be read: ${(error as Error).message}`])
  }
}

const promotedIn = (repository: string | undefined): ReadonlyMap<string, string> => {
  if (repository === undefined) return new Map()
  const directory = join(repository, 'ci-operator', 'config')
  if (!existsSync(directory)) throw new ArgumentsError([`${directory} does not exist`])
  return readPromotedTags(directory)
}
