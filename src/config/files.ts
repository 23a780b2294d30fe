/**
 * The files that flags name: how each is read, at the start and whenever it changes, and whether it can be used at all.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { FlagValues } from './flags.ts'
import { parseDockerConfig } from '../secrets/docker-config.ts'
import { exposureOf, type FileKind } from '../secrets/file-permissions.ts'
import { trimBlanks } from '../secrets/pasted-text.ts'
import { cautionsAboutRobots, parseRobots, type RobotCredential } from '../secrets/robot-credential.ts'
import {
  cautionsAboutTokenSecret,
  parseStrongTokenSecret,
  parseTokenSecret,
} from '../secrets/token-secret.ts'
import { readText } from '../watched-files.ts'

/** Files together with how they are read. */
export interface SecretFiles<Value> {
  readonly paths: readonly string[]
  readonly parse: (contents: readonly string[]) => Value
  /**
   * Of contents that can be parsed: what should not stay as it is, with them or with the permissions of the files. A sentence each for
   * the operator, which names the flags and holds nothing of the contents.
   * @throws {Error} where a file is away meanwhile
   */
  readonly cautions: (contents: readonly string[]) => readonly string[]
}

export interface ConfigFiles {
  /** Several where the two files hold several lines. */
  readonly robot: SecretFiles<readonly RobotCredential[]>
  readonly tokenSecret: SecretFiles<readonly Uint8Array[]>
  readonly tls: SecretFiles<KeyPair> | undefined
  /** PEM. */
  readonly upstreamCa: string | undefined
  readonly sharedStatePassword: SecretFiles<string> | undefined
  /** PEM. */
  readonly sharedStateCa: string | undefined
}

/** PEM. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

/**
 * Every file is read here once, so that nothing starts with a secret that cannot work.
 * @param problems why nothing can start, each a sentence that names the flag; are added to
 * @param warnings what should not stay as it is, likewise
 */
export const filesOf = (
  values: FlagValues,
  problems: string[],
  warnings: string[],
): ConfigFiles | undefined => {
  const robot = robotFiles(values, problems)
  const tokenSecret = tokenSecretFile(values, problems)
  const tls = tlsFiles(values, problems)
  const read = <Value>(files: NamedFiles<Value> | undefined): Value | undefined =>
    files === undefined ? undefined : tryFile(files, problems, warnings)
  read(robot)
  read(tokenSecret)
  read(tls)
  const upstreamCa = read(single('--upstream-ca-file', values['upstream-ca-file'], 'public', parseCa))
  const sharedStatePassword = single(
    '--shared-state-password-file',
    values['shared-state-password-file'],
    'secret',
    parsePassword,
  )
  sharedStateProblems(values, problems)
  read(sharedStatePassword)
  const sharedStateCa = read(
    single('--shared-state-ca-file', values['shared-state-ca-file'], 'public', parseCa),
  )
  // What it says is for those who connect with it; that there is one is known now.
  read(single('--kubeconfig', values.kubeconfig, 'secret', String))
  return robot === undefined || tokenSecret === undefined
    ? undefined
    : { robot, tokenSecret, tls, upstreamCa, sharedStatePassword, sharedStateCa }
}

/** With the flags by which they were given. */
interface NamedFiles<Value> extends SecretFiles<Value> {
  readonly name: string
}

/** @param look what else is to be said about contents that can be parsed */
const namedFiles = <Value>(
  name: string,
  files: readonly (readonly [path: string, kind: FileKind])[],
  parse: (contents: readonly string[]) => Value,
  look: (contents: readonly string[]) => readonly string[] = () => [],
): NamedFiles<Value> => ({
  name,
  paths: files.map(([path]) => path),
  parse,
  cautions: (contents) =>
    [...look(contents), ...files.map(([path, kind]) => exposureOf(path, kind))]
      .filter((caution) => caution !== undefined)
      .map((caution) => `${name}: ${caution}`),
})

const single = <Value>(
  name: string,
  path: string | undefined,
  kind: FileKind,
  parse: (content: string) => Value,
) => (path === undefined ? undefined : namedFiles(name, [[path, kind]], ([content = '']) => parse(content)))

const tokenSecretFile = (values: FlagValues, problems: string[]) => {
  const { 'token-secret-file': path, 'require-strong-secrets': isStrict } = values
  if (path === undefined) {
    problems.push('--token-secret-file is missing: it signs the logins of the robot')
    return undefined
  }
  const parse = isStrict === true ? parseStrongTokenSecret : parseTokenSecret
  return namedFiles('--token-secret-file', [[path, 'secret']], parse, cautionsAboutTokenSecret)
}

const sharedStateProblems = (values: FlagValues, problems: string[]): void => {
  const url = values['shared-state']
  if (url !== undefined && url.password !== '')
    problems.push('--shared-state has a password in it: put it into a file, for --shared-state-password-file')
  for (const name of ['shared-state-password-file', 'shared-state-ca-file'] as const)
    if (url === undefined && values[name] !== undefined) problems.push(`--${name} needs --shared-state`)
  if (url?.protocol === 'redis:' && values['shared-state-ca-file'] !== undefined)
    problems.push(
      '--shared-state-ca-file is for rediss://, and --shared-state is redis://, which is not encrypted',
    )
}

const parsePassword = (content: string): string => {
  const password = trimBlanks(content)
  if (password === '') throw new Error('it holds no password')
  return password
}

const robotFiles = (
  values: FlagValues,
  problems: string[],
): NamedFiles<readonly RobotCredential[]> | undefined => {
  const { 'robot-username-file': username, 'robot-password-file': password } = values
  const { 'robot-dockerconfig-file': dockerConfig, upstream, 'upstream-repository': repository } = values
  if (dockerConfig !== undefined) {
    if (username !== undefined || password !== undefined)
      problems.push(
        '--robot-dockerconfig-file stands instead of --robot-username-file and --robot-password-file: give one or the two',
      )
    // Without these two a problem is noted already, and what to look for in the file is not known.
    if (upstream === undefined || repository === undefined) return undefined
    return robotsFrom(
      '--robot-dockerconfig-file',
      [[dockerConfig, 'secret']],
      parseDockerConfig(upstream, repository),
    )
  }
  for (const [name, path] of [
    ['username', username],
    ['password', password],
  ])
    if (path === undefined)
      problems.push(`--robot-${name}-file is missing: upstream is read with the credential of a robot`)
  if (username === undefined || password === undefined) return undefined
  return robotsFrom(
    '--robot-username-file and --robot-password-file',
    [
      [username, 'public'],
      [password, 'secret'],
    ],
    parseRobots,
  )
}

const robotsFrom = (
  name: string,
  files: readonly (readonly [path: string, kind: FileKind])[],
  parse: (contents: readonly string[]) => readonly RobotCredential[],
) => namedFiles(name, files, parse, (contents) => cautionsAboutRobots(parse(contents)))

const tlsFiles = (values: FlagValues, problems: string[]): NamedFiles<KeyPair> | undefined => {
  const { 'tls-cert-file': cert, 'tls-key-file': key } = values
  if (cert !== undefined && key !== undefined)
    return namedFiles(
      '--tls-cert-file and --tls-key-file',
      [
        [cert, 'public'],
        [key, 'secret'],
      ],
      parseKeyPair,
    )
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
  { name, paths, parse, cautions }: NamedFiles<Value>,
  problems: string[],
  warnings: string[],
): Value | undefined => {
  try {
    const contents = paths.map(readText)
    const value = parse(contents)
    warnings.push(...cautions(contents))
    return value
  } catch (error) {
    problems.push(`${name}: ${(error as Error).message}`)
    return undefined
  }
}
