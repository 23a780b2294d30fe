/**
 * The commands of `ci-images-mirror`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentsError, parseMirrorArguments, type MirrorArguments } from './arguments.ts'
import { decodeConfig } from './config/parse.ts'
import { readPromotedTags } from './validation/promoted-tags.ts'
import { formatReport } from './validation/report.ts'
import { validate } from './validation/validate.ts'

export interface MirrorIo {
  readonly print: (text: string) => void
  readonly printError: (text: string) => void
}

export const help = `ci-images-mirror: check the configuration of the mirror of external images

  ci-images-mirror --validate-config-only --config=FILE [flags]
      --base=FILE                          the version before: what was wrong in it already is a warning
      --release-repo-git-sync-path=DIR     checkout of openshift/release, to find collisions with promoted tags
      --format=plain|json|github           for a person, for a program, as annotations of a pull request (default: plain)
  ci-images-mirror --help

Exit code: 0 for a valid configuration, 1 for any other, 2 for wrong arguments.
`

/** @returns the exit code */
export const run = (args: readonly string[], io: MirrorIo): number => {
  if (args.some((arg) => ['--help', '-help', '-h'].includes(arg))) {
    io.print(help)
    return 0
  }
  try {
    return validateConfig(parseMirrorArguments(args), io)
  } catch (error) {
    const problems = error instanceof ArgumentsError ? error.problems : [(error as Error).message]
    for (const problem of problems) io.printError(`ci-images-mirror: ${problem}`)
    return 2
  }
}

const validateConfig = (parsed: MirrorArguments, io: MirrorIo): number => {
  const { config, base, format, notices } = parsed
  if (!parsed.validateConfigOnly)
    throw new ArgumentsError([
      'give --validate-config-only: this version checks configurations, and copies no image',
    ])
  if (config === undefined) throw new ArgumentsError(['give the file to check: --config=FILE'])
  for (const notice of notices) io.printError(`ci-images-mirror: ${notice}`)
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
