/**
 * Composes the removal of images from a running proxy's cache by an operator; nothing without `--cache-dir`.
 */
import type { Config } from '../config/config.ts'
import { isDigest } from '../oci/digest.ts'
import { RemovalInbox, type Removal, type RemovalReport } from '../storage/removals.ts'
import { purgeAll } from '../storage/s3/purge.ts'
import type { Storage } from '../storage/storage.ts'
import type { S3Tier } from '../storage/s3/s3-tier.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { Pipeline } from '../upstream/pipeline.ts'

export interface ComposeRemovalsOptions {
  readonly config: Pick<Config, 'cacheDir'>
  readonly s3: { readonly tier: Pick<S3Tier, 'purge'> } | undefined
  readonly storage: { readonly [Kind in 'blobs' | 'manifests']: Pick<Storage[Kind], 'forget'> } | undefined
  readonly forget: Pipeline['forget']
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

export const composeRemovals = ({
  config: { cacheDir: root },
  s3,
  storage,
  forget,
  logger,
}: ComposeRemovalsOptions): RemovalInbox | undefined => {
  if (root === undefined || storage === undefined) return undefined
  const remove = async ({ digests: texts, tags }: Removal): Promise<RemovalReport> => {
    const digests = texts.filter(isDigest)
    forget({ digests, tags })
    for (const store of [storage.blobs, storage.manifests]) for (const digest of digests) store.forget(digest)
    const report = {
      s3: s3 && (await purgeAll(digests, async (kind, digest) => await s3.tier.purge(kind, digest))),
    }
    logger.info({ digests: digests.length, tags, ...report }, 'removed from the cache by an operator')
    return report
  }
  return new RemovalInbox({ root, remove, warning: (reason) => logger.warn({ reason }, 'cache') })
}
