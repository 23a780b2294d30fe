/**
 * Parses the bucket of the cache, and checks the flags that depend on each other.
 */
import ipaddr from 'ipaddr.js'

export interface S3Location {
  readonly bucket: string
  /** Without a slash at its ends; empty for none. */
  readonly prefix: string
}

/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
const bucketForm = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
/** The characters of keys that every store and every tool takes as they are. */
const segmentForm = /^[A-Za-z0-9_][A-Za-z0-9._=-]*$/
/** A key has 1024 bytes at most, of which a digest takes up to 160. */
const maxPrefixLength = 512

/** `s3://bucket`, `s3://bucket/some/prefix`. */
export const parseS3Location = (text: string): S3Location | undefined => {
  if (!text.startsWith('s3://')) return undefined
  const [bucket = '', ...segments] = text.slice('s3://'.length).replace(/\/$/, '').split('/')
  const prefix = segments.join('/')
  const isPrefix = segments.every((segment) => segmentForm.test(segment)) && prefix.length <= maxPrefixLength
  return isBucket(bucket) && isPrefix ? { bucket, prefix } : undefined
}

const isBucket = (name: string): boolean =>
  bucketForm.test(name) && !name.includes('..') && !ipaddr.IPv4.isValidFourPartDecimal(name)

interface S3Values {
  readonly cacheS3: S3Location | undefined
  readonly cacheS3Endpoint: URL | undefined
  readonly cacheS3Region: string | undefined
  readonly cacheS3Addressing: string | undefined
  readonly cacheS3CredentialsFile: string | undefined
  readonly cacheS3CaFile: string | undefined
  readonly cacheDir: string | undefined
  readonly blobDelivery: string | undefined
}

/** @param problems is added to: a sentence for each, which names the flag */
export const addS3Problems = (values: S3Values, problems: string[]): void => {
  const { cacheS3, cacheDir, cacheS3Endpoint, cacheS3CaFile } = values
  if (cacheS3 === undefined) {
    for (const [key, name] of dependents)
      if (values[key] !== undefined) problems.push(`--${name} needs --cache-s3`)
    if (cacheDir !== undefined && values.blobDelivery === 'redirect')
      problems.push('--cache-dir has no blobs to cache with --blob-delivery=redirect: give one of the two')
    return
  }
  if (cacheDir === undefined)
    problems.push('--cache-s3 needs --cache-dir: a blob is verified on the disk, and uploaded from there')
  if (cacheS3Endpoint?.protocol === 'http:' && cacheS3CaFile !== undefined)
    problems.push('--cache-s3-ca-file is for https://, and --cache-s3-endpoint is http://')
}

const dependents = [
  ['cacheS3Endpoint', 'cache-s3-endpoint'],
  ['cacheS3Region', 'cache-s3-region'],
  ['cacheS3CredentialsFile', 'cache-s3-credentials-file'],
  ['cacheS3CaFile', 'cache-s3-ca-file'],
] as const

/** A valid setting of which the operator should be reminded. */
export const cautionsAboutS3 = ({ cacheS3Endpoint }: Pick<S3Values, 'cacheS3Endpoint'>): readonly string[] =>
  cacheS3Endpoint?.protocol === 'http:'
    ? ['--cache-s3-endpoint is http://: everybody on the way to it can read every cached image']
    : []
