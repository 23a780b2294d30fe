/**
 * The arguments of `cache`. Its flags are flags of `serve`.
 */
import type { StaticS3Credentials } from '../secrets/s3-credentials.ts'
import type { Environment } from './command-line.ts'
import { ConfigError } from './config-error.ts'
import { readS3Files } from './read-files.ts'
import type { ValuesOf } from './flag-kinds.ts'
import { parseCommand } from './flag-values.ts'
import { flags } from './flags.ts'
import { s3Flags } from './flags/s3-flags.ts'
import { addS3Problems, type S3Location } from './s3-values.ts'

const { cacheDir } = flags

export const cacheFlags = { cacheDir, ...s3Flags }

type CacheFlags = ValuesOf<typeof cacheFlags>

/** The bucket of the cache, for `rm`. */
export interface CacheBucket extends Pick<
  CacheFlags,
  'cacheS3Endpoint' | 'cacheS3Region' | 'cacheS3Addressing'
> {
  readonly location: S3Location
  /** Undefined: AWS SDKs find them. */
  readonly credentials: StaticS3Credentials | undefined
  /** PEM. */
  readonly s3Ca: string | undefined
}

export interface CacheArguments {
  readonly action: 'stats' | 'verify' | 'rm'
  readonly directory: string
  /** For `rm`. */
  readonly target: string | undefined
  /** Undefined without `--cache-s3`. */
  readonly bucket: CacheBucket | undefined
  /** Warnings: each a sentence that names the flag. */
  readonly warnings: readonly string[]
}

const cacheActions = ['stats', 'verify', 'rm'] as const

/** @throws {ConfigError} */
export const parseCacheArguments = (args: readonly string[], environment: Environment): CacheArguments => {
  const syntax = { command: 'cache', flags: cacheFlags, takesPositionals: true }
  const { values, positionals } = parseCommand(syntax, args, environment)
  const [first, target, ...more] = positionals
  const action = cacheActions.find((name) => name === first)
  if (action === undefined || (target === undefined) === (action === 'rm') || more.length > 0)
    throw new ConfigError(['cache takes stats, verify, or rm with a digest or a tag, and --cache-dir=DIR'])
  const { cacheDir: directory } = values
  if (directory === undefined)
    throw new ConfigError(['cache needs --cache-dir=DIR, the directory of the proxy'])
  const warnings: string[] = []
  const bucket = action === 'rm' ? bucketOf(values, warnings) : undefined
  return { action, directory, target, bucket, warnings }
}

/** @throws {ConfigError} */
const bucketOf = (values: CacheFlags, warnings: string[]): CacheBucket | undefined => {
  const problems: string[] = []
  addS3Problems({ ...values, blobDelivery: undefined }, problems)
  const files = readS3Files(values, problems, warnings)
  if (problems.length > 0) throw new ConfigError(problems)
  const { cacheS3: location } = values
  return location && { ...values, ...files, location }
}
