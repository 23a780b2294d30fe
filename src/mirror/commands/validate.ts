/**
 * `ci-images-mirror validate`, or `--validate-config-only`: the check of pull requests.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentsError, type MirrorArguments } from '../arguments.ts'
import type { MirrorIo } from '../io.ts'
import { readPromotedTags } from '../validation/promoted-tags.ts'
import { formatReport } from '../validation/report.ts'
import { validate } from '../validation/validate.ts'
import { configFileOf, readText } from './read-files.ts'

/** @returns the exit code */
export const validateConfig = (args: MirrorArguments, io: MirrorIo): number => {
  const { base, format } = args
  const config = configFileOf(args)
  const validation = validate(readText(config), {
    promoted: promotedIn(args.releaseRepository),
    base: base === undefined ? undefined : readText(base),
  })
  io.print(formatReport(config, validation, format))
  return validation.isValid ? 0 : 1
}

const promotedIn = (repository: string | undefined): ReadonlyMap<string, string> => {
  if (repository === undefined) return new Map()
  const directory = join(repository, 'ci-operator', 'config')
  if (!existsSync(directory)) throw new ArgumentsError([`${directory} does not exist`])
  return readPromotedTags(directory)
}
