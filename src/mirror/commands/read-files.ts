/**
 * Files that a command reads once.
 */
import { readFileSync } from 'node:fs'
import { credentialFor } from '../../secrets/docker-config.ts'
import { ArgumentsError, type MirrorArguments } from '../arguments.ts'
import type { MirrorConfig } from '../config/mirror-config.ts'
import { ConfigTextError, readConfigText } from '../config/config-text.ts'
import { parseMirrorConfig } from '../config/parse.ts'
import { formatProblem, type Problem } from '../config/problem.ts'
import type { RegistriesOptions } from '../registry/registries.ts'

/** @throws {ArgumentsError} */
export const readText = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw unreadable(file, error)
  }
}

/** @returns a problem if the file contains no text. @throws {ArgumentsError} if it cannot be read */
export const readTextOrProblem = (file: string): string | Problem => {
  try {
    return readConfigText(file)
  } catch (error) {
    if (error instanceof ConfigTextError) return error.problem
    throw unreadable(file, error)
  }
}

/** The text of a configuration. @throws {ArgumentsError} */
export const readConfigFile = (file: string): string => {
  const text = readTextOrProblem(file)
  if (typeof text === 'string') return text
  throw new ArgumentsError([formatProblem(file, text)])
}

const unreadable = (file: string, error: unknown): ArgumentsError =>
  new ArgumentsError([`${file} cannot be read: ${(error as Error).message}`])

/** @throws {ArgumentsError} if the flag is missing */
export const configFileOf = ({ config }: MirrorArguments): string => {
  if (config === undefined) throw new ArgumentsError(['give the configuration: --config=FILE'])
  return config
}

/** @throws {ArgumentsError} if the file is not well formed, with a sentence for each error */
export const readConfig = (args: MirrorArguments): MirrorConfig => {
  const file = configFileOf(args)
  const { config, problems } = parseMirrorConfig(readConfigFile(file))
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new ArgumentsError(errors.map((error) => formatProblem(file, error)))
  return config
}

/** @throws {ArgumentsError} */
export const credentialsOf = ({ registryConfig }: MirrorArguments): RegistriesOptions['credentialOf'] => {
  const auths = registryConfig === undefined ? undefined : readText(registryConfig)
  return (upstream, repository) =>
    auths === undefined ? undefined : credentialFor(auths, { upstream, repository })
}
