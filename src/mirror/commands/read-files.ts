/**
 * Files that a command reads once.
 */
import { readFileSync } from 'node:fs'
import { credentialFor } from '../../secrets/docker-config.ts'
import { ArgumentsError, type MirrorArguments } from '../arguments.ts'
import type { MirrorConfig } from '../config/mirror-config.ts'
import { decodeConfig, parseMirrorConfig } from '../config/parse.ts'
import type { RegistriesOptions } from '../registry/registries.ts'

/** @throws {ArgumentsError} */
export const readText = (file: string): string => {
  try {
    return decodeConfig(readFileSync(file))
  } catch (error) {
    throw new ArgumentsError([`${file} cannot be read: ${(error as Error).message}`])
  }
}

/** @throws {ArgumentsError} where the flag is missing */
export const configFileOf = ({ config }: MirrorArguments): string => {
  if (config === undefined) throw new ArgumentsError(['give the configuration: --config=FILE'])
  return config
}

/** @throws {ArgumentsError} where the file is not well formed */
export const readConfig = (args: MirrorArguments): MirrorConfig => {
  const { config, problems } = parseMirrorConfig(readText(configFileOf(args)))
  const [error] = problems.filter(({ severity }) => severity === 'error')
  if (error !== undefined) throw new ArgumentsError([`${error.message}; ${error.cure}`])
  return config
}

/** @throws {ArgumentsError} */
export const credentialsOf = ({ registryConfig }: MirrorArguments): RegistriesOptions['credentialOf'] => {
  const auths = registryConfig === undefined ? undefined : readText(registryConfig)
  return (upstream, repository) =>
    auths === undefined ? undefined : credentialFor(auths, { upstream, repository })
}
