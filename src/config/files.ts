/**
 * The files that flags name: how each is read, at the start and whenever it changes, and whether it can be used at all.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { FlagValues } from './flags.ts'
import { parseDockerConfig, parseRobots, type RobotCredential } from '../quay/robot/robot-credential.ts'
import { parseTokenSecret } from '../registry/signing-keys.ts'
import { readText } from '../watched-files.ts'

/** Files together with how they are read. */
export interface SecretFiles<Value> {
  readonly paths: readonly string[]
  readonly parse: (contents: readonly string[]) => Value
}

export interface ConfigFiles {
  /** Several where the two files hold several lines. */
  readonly robot: SecretFiles<readonly RobotCredential[]>
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
  const tokenSecret = secretFile === undefined ? undefined : { paths: [secretFile], parse: parseTokenSecret }
  const tls = tlsFiles(values, problems)
  const read = <Value>(name: string, files: SecretFiles<Value> | undefined): Value | undefined =>
    files === undefined ? undefined : tryFile(name, files, problems)
  const robotFlags =
    values['robot-dockerconfig-file'] === undefined
      ? '--robot-username-file and --robot-password-file'
      : '--robot-dockerconfig-file'
  read(robotFlags, robot)
  read('--token-secret-file', tokenSecret)
  read('--tls-cert-file and --tls-key-file', tls)
  const upstreamCa = read('--upstream-ca-file', single(values['upstream-ca-file'], parseCa))
  // What it says is for those who connect with it; that there is one is known now.
  read('--kubeconfig', single(values.kubeconfig, String))
  return robot === undefined || tokenSecret === undefined
    ? undefined
    : { robot, tokenSecret, tls, upstreamCa }
}

const single = <Value>(path: string | undefined, parse: (content: string) => Value) =>
  path === undefined
    ? undefined
    : { paths: [path], parse: ([content = '']: readonly string[]) => parse(content) }

const robotFiles = (values: FlagValues, problems: string[]): ConfigFiles['robot'] | undefined => {
  const { 'robot-username-file': username, 'robot-password-file': password } = values
  const { 'robot-dockerconfig-file': dockerConfig, upstream, 'upstream-repository': repository } = values
  if (dockerConfig !== undefined) {
    if (username !== undefined || password !== undefined)
      problems.push(
        '--robot-dockerconfig-file stands instead of --robot-username-file and --robot-password-file: give one or the two',
      )
    // Without these two a problem is noted already, and what to look for in the file is not known.
    if (upstream === undefined || repository === undefined) return undefined
    return { paths: [dockerConfig], parse: parseDockerConfig(upstream, repository) }
  }
  for (const [name, path] of [
    ['username', username],
    ['password', password],
  ])
    if (path === undefined)
      problems.push(`--robot-${name}-file is missing: upstream is read with the credential of a robot`)
  if (username === undefined || password === undefined) return undefined
  return { paths: [username, password], parse: parseRobots }
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
  try {
    // A secure context alone would do without the one or the other where it is empty.
    void new X509Certificate(cert)
    createPrivateKey(key)
    createSecureContext({ cert, key })
  } catch (error) {
    throw new Error(
      `they hold no PEM certificate with its unencrypted private key (${(error as Error).message})`,
      { cause: error },
    )
  }
  return { cert, key }
}

const [begin, end] = ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----'] as const

const certificatesIn = (text: string): readonly string[] =>
  text
    .split(end)
    .slice(0, -1)
    .filter((part) => part.includes(begin))
    .map((part) => `${part.slice(part.indexOf(begin))}${end}`)

const parseCa = (ca: string): string => {
  const certificates = certificatesIn(ca)
  if (certificates.length === 0) throw new Error('it holds no PEM certificate')
  try {
    // A secure context passes over what it cannot read.
    for (const certificate of certificates) void new X509Certificate(certificate)
  } catch (error) {
    throw new Error(`it holds a certificate that cannot be read (${(error as Error).message})`, {
      cause: error,
    })
  }
  return ca
}

const tryFile = <Value>(
  name: string,
  { paths, parse }: SecretFiles<Value>,
  problems: string[],
): Value | undefined => {
  try {
    return parse(paths.map(readText))
  } catch (error) {
    problems.push(`${name}: ${(error as Error).message}`)
    return undefined
  }
}
