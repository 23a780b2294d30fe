/**
 * Opens the bucket of the cache by its flags, for a proxy or a command.
 */
import type { Config } from '../config/config.ts'
import type { S3Location } from '../config/s3-values.ts'
import { userAgent } from '../config/version.ts'
import { openObjectStore, type ObjectStore, type S3Credentials } from '../storage/s3/object-store.ts'

export type S3Flags = Pick<Config, 'cacheS3Endpoint' | 'cacheS3Region' | 'cacheS3Addressing' | 's3Ca'>

/** For stores that use a region only in the signature. */
const otherRegion = 'us-east-1'

/**
 * @param credentials returns the newest ones at each request; undefined: the SDK finds them
 * @throws {Error} if no region is known
 */
export const openS3 = async (
  { bucket }: S3Location,
  { cacheS3Endpoint: endpoint, cacheS3Region, cacheS3Addressing, s3Ca: ca }: S3Flags,
  credentials: (() => S3Credentials) | undefined,
): Promise<ObjectStore> =>
  await openObjectStore({
    bucket,
    endpoint,
    region: cacheS3Region ?? (endpoint === undefined ? undefined : otherRegion),
    isPathStyle: isPathStyle(cacheS3Addressing, endpoint, bucket),
    ca,
    credentials,
    userAgent,
  })

/** A certificate of AWS does not match a bucket with dots in its name. */
const isPathStyle = (
  addressing: Config['cacheS3Addressing'],
  endpoint: URL | undefined,
  bucket: string,
): boolean =>
  addressing === 'path' || (addressing === 'auto' && (endpoint !== undefined || bucket.includes('.')))
