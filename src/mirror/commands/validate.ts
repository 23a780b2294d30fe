/**
 * `ci-images-mirror validate`, or `--validate-config-only`: the check of pull requests.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentsError, type MirrorArguments } from '../arguments.ts'
import type { MirrorIo } from '../io.ts'
import { readPromotedTags } from '../validation/promoted-tags.ts'
import { formatReport } from '../validation/report.ts'
import { validate, type Validation } from '../validation/validate.ts'
import { configFileOf, readConfigFile, readTextOrProblem } from './read-files.ts'

/** @returns the exit code */
export const validateConfig = (args: MirrorArguments, io: MirrorIo): number => {
  const config = configFileOf(args)
  const validation = validationOf(config, args)
  io.print(formatReport(config, validation, args.format))
  return validation.isValid ? 0 : 1
}

/** @throws {ArgumentsError} where a file cannot be read */
const validationOf = (config: string, { base, releaseRepository }: MirrorArguments): Validation => {
  const text = readTextOrProblem(config)
  if (typeof text !== 'string') return { problems: [text], isValid: false }
  return validate(text, {
    promoted: promotedIn(releaseRepository),
    base: base === undefined ? undefined : readConfigFile(base),
  })
}

const promotedIn = (repository: string | undefined): ReadonlyMap<string, string> => {
  if (repository === undefined) return new Map()
  const directory = join(repository, 'ci-operator', 'config')
  if (!existsSync(directory)) throw new ArgumentsError([`${directory} does not exist`])
  return readPromotedTags(directory)
}
