/**
 * `ci-images-mirror validate`, or `--validate-config-only`: the check of pull requests.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../concurrency/clock.ts'
import { ArgumentsError, type MirrorArguments } from '../arguments.ts'
import { parseMirrorConfig } from '../config/parse.ts'
import type { Problem } from '../config/problem.ts'
import type { MirrorIo } from '../io.ts'
import { Repository } from '../registry/repository.ts'
import { checkOnline } from '../validation/online.ts'
import { readPromotedTags } from '../validation/promoted-tags.ts'
import { formatReport } from '../validation/report.ts'
import { validate, withProblems, type Validation } from '../validation/validate.ts'
import { openRegistries } from './local-mirror.ts'
import { configFileOf, readConfigFile, readTextOrProblem } from './read-files.ts'

/** @returns the exit code */
export const validateConfig = async (args: MirrorArguments, io: MirrorIo): Promise<number> => {
  const file = configFileOf(args)
  const validation = await validationOf(file, args, io)
  io.print(formatReport(file, validation, args.format))
  return validation.isValid ? 0 : 1
}

/** @throws {ArgumentsError} if a file cannot be read */
const validationOf = async (file: string, args: MirrorArguments, io: MirrorIo): Promise<Validation> => {
  const text = readTextOrProblem(file)
  if (typeof text !== 'string') return { problems: [text], isValid: false }
  const base = args.base === undefined ? undefined : readConfigFile(args.base)
  const offline = validate(text, { promoted: promotedIn(args.releaseRepository), base })
  if (!args.isOnline) return offline
  return withProblems(offline, await askRegistries(text, base, args, io))
}

/** Sources between two lines of progress. */
const progressEvery = 50

const askRegistries = async (
  text: string,
  base: string | undefined,
  args: MirrorArguments,
  io: MirrorIo,
): Promise<readonly Problem[]> => {
  const { clock = systemClock, printError } = io
  const registries = openRegistries(args, io)
  const deadline = new AbortController()
  const { signal } = deadline
  const cancel = clock.after(args.onlineTimeoutMs, () => deadline.abort())
  try {
    return await checkOnline(parseMirrorConfig(text).config, {
      base: base === undefined ? undefined : parseMirrorConfig(base).config,
      repositoryOf: (registry, name, image) =>
        new Repository({ client: registries.of(registry), name, mayPush: false, image, signal }),
      qci: args.qci,
      signal,
      onRead: (read, all) => {
        if (read % progressEvery === 0 || read === all) printError(`${read} of ${all} sources read`)
      },
    })
  } finally {
    cancel()
    await registries.close()
  }
}

const promotedIn = (repository: string | undefined): ReadonlyMap<string, string> => {
  if (repository === undefined) return new Map()
  const directory = join(repository, 'ci-operator', 'config')
  if (!existsSync(directory)) throw new ArgumentsError([`${directory} does not exist`])
  try {
    return readPromotedTags(directory)
  } catch (error) {
    throw new ArgumentsError([`${directory}: ${(error as Error).message}`])
  }
}
