/**
 * Reads all files that flags name, at the start, so that no proxy starts with a secret that cannot work. `proxy/reloaded-files.ts` reads
 * the watched ones again when they change.
 */
import { trimBlanks } from '../secrets/pasted-text.ts'
import { logLevels, type LogLevel } from '../telemetry/logging.ts'
import type { RobotCredential } from '../secrets/robot-credential.ts'
import { parseS3Credentials, type StaticS3Credentials } from '../secrets/s3-credentials.ts'
import {
  cautionsAboutTokenSecret,
  parseStrongTokenSecret,
  parseTokenSecret,
} from '../secrets/token-secret.ts'
import type { PartialValuesOf } from './flag-values.ts'
import type { FlagKey, flags } from './flags.ts'
import { flagFile, flagFiles, tryFiles, type FlagFiles, type WatchableFiles } from './flag-files.ts'
import { parseAuthorities, parseKeyPair, type KeyPair } from './pem.ts'
import { robotFiles } from './robot-files.ts'

export interface ConfigFiles {
  /** Several if the two files hold several lines. */
  readonly robot: WatchableFiles<readonly RobotCredential[]>
  readonly tokenSecret: WatchableFiles<readonly Uint8Array[]>
  readonly tls: WatchableFiles<KeyPair> | undefined
  /** PEM. */
  readonly upstreamCa: string | undefined
  readonly sharedStatePassword: WatchableFiles<string> | undefined
  /** PEM. */
  readonly sharedStateCa: string | undefined
  /** Undefined if the level is that of `--log-level` for as long as the process runs. */
  readonly logLevelFile: WatchableFiles<LogLevel> | undefined
  readonly s3Credentials: WatchableFiles<StaticS3Credentials> | undefined
  /** PEM. */
  readonly s3Ca: string | undefined
}

/** Flags that become `ConfigFiles`. */
export const fileKeys = [
  'robotUsernameFile',
  'robotPasswordFile',
  'robotDockerconfigFile',
  'tokenSecretFile',
  'requireStrongSecrets',
  'tlsCertFile',
  'tlsKeyFile',
  'upstreamCaFile',
  'sharedStatePasswordFile',
  'sharedStateCaFile',
  'logLevelFile',
  'cacheS3CredentialsFile',
  'cacheS3CaFile',
] as const satisfies readonly FlagKey[]

type Values = Pick<
  PartialValuesOf<typeof flags>,
  (typeof fileKeys)[number] | 'kubeconfig' | 'sharedState' | 'upstream' | 'upstreamRepository'
>

/**
 * @param problems is added to: why nothing can start, each a sentence that names the flag
 * @param warnings is added to: what should be changed, likewise
 * @returns undefined if a file is missing without which nothing can start
 */
export const readFiles = (
  values: Values,
  problems: string[],
  warnings: string[],
): ConfigFiles | undefined => {
  const robot = robotFiles(values, problems)
  const tokenSecret = tokenSecretFile(values, problems)
  const tls = tlsFiles(values, problems)
  const read = <Value>(files: FlagFiles<Value> | undefined): Value | undefined =>
    files === undefined ? undefined : tryFiles(files, problems, warnings)
  read(robot)
  read(tokenSecret)
  read(tls)
  const upstreamCa = read(authorities('--upstream-ca-file', values.upstreamCaFile))
  addSharedStateProblems(values, problems)
  const sharedStatePassword = sharedStatePasswordFile(values)
  read(sharedStatePassword)
  const sharedStateCa = read(authorities('--shared-state-ca-file', values.sharedStateCaFile))
  const logLevelFile = flagFile('--log-level-file', values.logLevelFile, 'public', parseLogLevel)
  read(logLevelFile)
  const s3Credentials = s3CredentialsFile(values)
  read(s3Credentials)
  const s3Ca = read(authorities('--cache-s3-ca-file', values.cacheS3CaFile))
  // This checks only that it can be read. Its content is checked later.
  read(flagFile('--kubeconfig', values.kubeconfig, 'secret', String))
  return robot === undefined || tokenSecret === undefined
    ? undefined
    : {
        robot,
        tokenSecret,
        tls,
        upstreamCa,
        sharedStatePassword,
        sharedStateCa,
        s3Credentials,
        s3Ca,
        logLevelFile,
      }
}

const parseLogLevel = (content: string): LogLevel => {
  const level = logLevels.find((one) => one === content.trim())
  if (level === undefined) throw new Error(`it holds no log level: expected ${logLevels.join(' or ')}`)
  return level
}

const s3CredentialsFile = ({ cacheS3CredentialsFile: path }: Pick<Values, 'cacheS3CredentialsFile'>) =>
  flagFile('--cache-s3-credentials-file', path, 'secret', parseS3Credentials)

/**
 * The files of a command that uses the bucket of the cache.
 * @param problems as of `readFiles`
 * @param warnings likewise
 */
export const readS3Files = (
  values: Pick<Values, 'cacheS3CredentialsFile' | 'cacheS3CaFile'>,
  problems: string[],
  warnings: string[],
): { readonly credentials: StaticS3Credentials | undefined; readonly s3Ca: string | undefined } => {
  const read = <Value>(files: FlagFiles<Value> | undefined): Value | undefined =>
    files === undefined ? undefined : tryFiles(files, problems, warnings)
  return {
    credentials: read(s3CredentialsFile(values)),
    s3Ca: read(authorities('--cache-s3-ca-file', values.cacheS3CaFile)),
  }
}

const authorities = (name: string, path: string | undefined) =>
  flagFile(name, path, 'public', parseAuthorities)

const tokenSecretFile = ({ tokenSecretFile: path, requireStrongSecrets }: Values, problems: string[]) => {
  if (path === undefined) {
    problems.push('--token-secret-file is missing: it signs the logins of the robot')
    return undefined
  }
  const parse = requireStrongSecrets === true ? parseStrongTokenSecret : parseTokenSecret
  return flagFiles('--token-secret-file', [[path, 'secret']], parse, cautionsAboutTokenSecret)
}

const tlsFiles = (
  { tlsCertFile: cert, tlsKeyFile: key }: Values,
  problems: string[],
): FlagFiles<KeyPair> | undefined => {
  if (cert !== undefined && key !== undefined)
    return flagFiles(
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

const addSharedStateProblems = (values: Values, problems: string[]): void => {
  const { sharedState: url, sharedStatePasswordFile: password, sharedStateCaFile: ca } = values
  if (url !== undefined && url.password !== '')
    problems.push('--shared-state has a password in it: put it into a file, for --shared-state-password-file')
  if (url === undefined && password !== undefined)
    problems.push('--shared-state-password-file needs --shared-state')
  if (url === undefined && ca !== undefined) problems.push('--shared-state-ca-file needs --shared-state')
  if (url?.protocol === 'redis:' && ca !== undefined)
    problems.push(
      '--shared-state-ca-file is for rediss://, and --shared-state is redis://, which is not encrypted',
    )
}

const sharedStatePasswordFile = ({ sharedStatePasswordFile: path }: Values) =>
  flagFile('--shared-state-password-file', path, 'secret', (content) => {
    const password = trimBlanks(content)
    if (password === '') throw new Error('it holds no password')
    return password
  })
