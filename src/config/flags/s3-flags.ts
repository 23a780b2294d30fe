/**
 * Flags of `serve`: the bucket of the cache, which replicas share.
 */
import { file, flag, matching, oneOf } from '../flag-kinds.ts'
import { parseS3Location } from '../s3-values.ts'
import { parseOrigin } from '../value-parsers.ts'

export const s3Flags = {
  /** Undefined if nothing is cached in S3. */
  cacheS3: flag('cache-s3', undefined, 'bucket that replicas share, between --cache-dir and upstream', {
    expected: 's3://bucket or s3://bucket/prefix (letters, digits and . _ = - between slashes)',
    parse: parseS3Location,
  }),
  /** Undefined for AWS. */
  cacheS3Endpoint: flag('cache-s3-endpoint', undefined, 'origin of another store than AWS', {
    expected: 'an origin, such as https://s3.example.org',
    parse: parseOrigin,
  }),
  cacheS3Region: flag(
    'cache-s3-region',
    undefined,
    'region of the bucket; by default AWS_REGION, or us-east-1 for another store',
    { expected: 'a region, such as us-east-1', parse: matching(/^[a-z0-9][a-z0-9-]{0,62}$/) },
  ),
  cacheS3Addressing: flag(
    'cache-s3-addressing',
    'auto',
    'position of the bucket in URLs; with auto, in the path for other stores',
    oneOf('auto', 'path', 'virtual'),
  ),
  cacheS3CredentialsFile: flag(
    'cache-s3-credentials-file',
    undefined,
    'credentials file of AWS with static keys; by default AWS SDKs find them (IRSA, ..)',
    file,
  ),
  cacheS3CaFile: flag(
    'cache-s3-ca-file',
    undefined,
    'PEM authorities accepted for the store, in addition to the well-known ones',
    file,
  ),
} as const
