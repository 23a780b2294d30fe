/**
 * The files that flags name: how each is read, at the start and whenever it changes, and whether it can be used at all.
 */
import { accessSync, constants, readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { FlagValues } from './flags.ts'
import { parseDockerConfig, parseUsernamePassword } from '../quay/robot-credential.ts'
import type { RobotCredential } from '../quay/robot.ts'
import { parseTokenSecret } from '../registry/signing-keys.ts'

/** Files together with how they are read. */
export interface SecretFiles<Value> {
  readonly paths: readonly string[]
  readonly parse: (contents: readonly string[]) => Value
}

export interface ConfigFiles {
  readonly robot: SecretFiles<RobotCredential>
  readonly tokenSecret: SecretFiles<readonly Uint8Array[]>
  readonly tls: SecretFiles<KeyPair> | undefined
  /** PEM. */
  readonly upstreamCa: string | undefined
}

/** PEM. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

/** Every file is read here once, so that nothing starts with a secret that cannot work. */
export const filesOf = (values: FlagValues, problems: string[]): ConfigFiles | undefined => {
  const robot = robotFiles(values, problems)
  const secretFile = values['token-secret-file']
  if (secretFile === undefined)
    problems.push('--token-secret-file is missing: it signs the logins of the robot')
  const tls = tlsFiles(values, problems)
  const caFile = values['upstream-ca-file']
  const ca = caFile === undefined ? undefined : { paths: [caFile], parse: parseCa }
  if (values.kubeconfig !== undefined)
    tryFile('--kubeconfig', () => accessSync(values.kubeconfig ?? '', constants.R_OK), problems)
  if (robot === undefined || secretFile === undefined) return undefined
  const tokenSecret = { paths: [secretFile], parse: parseTokenSecret }
  tryFile('--robot-*-file', () => readAll(robot), problems)
  tryFile('--token-secret-file', () => readAll(tokenSecret), problems)
  if (tls !== undefined) tryFile('--tls-*-file', () => readAll(tls), problems)
  const upstreamCa = ca === undefined ? undefined : tryFile('--upstream-ca-file', () => readAll(ca), problems)
  return { robot, tokenSecret, tls, upstreamCa }
}

const robotFiles = (values: FlagValues, problems: string[]): SecretFiles<RobotCredential> | undefined => {
  const { 'robot-username-file': username, 'robot-password-file': password } = values
  const { 'robot-dockerconfig-file': dockerConfig, upstream, 'upstream-repository': repository } = values
  if (dockerConfig !== undefined) {
    if (username !== undefined || password !== undefined)
      problems.push(
        '--robot-dockerconfig-file stands instead of --robot-username-file and --robot-password-file: give one or the two',
      )
    // Without these two a problem is noted already, and nothing will be read.
    return {
      paths: [dockerConfig],
      parse: parseDockerConfig(upstream ?? new URL('https://quay.io'), repository ?? ''),
    }
  }
  for (const [name, path] of [
    ['username', username],
    ['password', password],
  ])
    if (path === undefined)
      problems.push(`--robot-${name}-file is missing: upstream is read with the credential of a robot`)
  if (username === undefined || password === undefined) return undefined
  return { paths: [username, password], parse: parseUsernamePassword }
}

const tlsFiles = (values: FlagValues, problems: string[]): SecretFiles<KeyPair> | undefined => {
  const { 'tls-cert-file': cert, 'tls-key-file': key } = values
  if (cert !== undefined && key !== undefined) return { paths: [cert, key], parse: parseKeyPair }
  if (cert !== undefined) problems.push('--tls-key-file is missing: --tls-cert-file needs it')
  if (key !== undefined) problems.push('--tls-cert-file is missing: --tls-key-file needs it')
  return undefined
}

/** @throws {Error} where the two are not PEM, or not of one pair; a rotation may be seen half done */
const parseKeyPair = ([cert = '', key = '']: readonly string[]): KeyPair => {
  createSecureContext({ cert, key })
  return { cert, key }
}

const parseCa = ([ca = '']: readonly string[]): string => {
  if (!ca.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it holds no PEM certificate')
  createSecureContext({ ca })
  return ca
}

const readAll = <Value>({ paths, parse }: SecretFiles<Value>): Value =>
  parse(paths.map((path) => readFileSync(path, 'utf8')))

const tryFile = <Value>(name: string, read: () => Value, problems: string[]): Value | undefined => {
  try {
    return read()
  } catch (error) {
    const { code, path, message } = error as NodeJS.ErrnoException
    problems.push(path === undefined ? `${name}: ${message}` : `${name}: ${path} cannot be read (${code})`)
    return undefined
  }
}
