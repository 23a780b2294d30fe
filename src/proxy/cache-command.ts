/**
 * `quay-proxy cache`: what the directory of a cache holds, whether it is right, and how to get rid of an image. A proxy may run on the
 * directory meanwhile.
 */
import { join } from 'node:path'
import type { CacheBucket } from '../config/cache-arguments.ts'
import { isDigest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isDirectoryInUse } from '../storage/directory-lock.ts'
import { DiskQueue } from '../storage/disk-queue.ts'
import { KeyJournal } from '../storage/key-journal.ts'
import { requestRemoval, type Removal, type RemovalReport } from '../storage/removals.ts'
import { purgeAll, purgeFrom, type Purged } from '../storage/s3/purge.ts'
import { describeS3Error } from '../storage/s3/s3-errors.ts'
import {
  checkCacheDirectory,
  entriesNamed,
  entriesOf,
  isIntact,
  readManifest,
  removeEntry,
  type ScannedEntry,
} from '../storage/scan.ts'
import { openS3 } from './open-s3.ts'

export type CacheAction = 'stats' | 'verify' | 'rm'

export interface CacheCommandOptions {
  readonly action: CacheAction
  readonly directory: string
  /** For `rm`: a digest, or a tag as upstream writes it. */
  readonly target: string | undefined
  /** For `rm`: the bucket of the objects, if no proxy runs that removes them. */
  readonly bucket?: CacheBucket | undefined
  readonly print: (line: string) => void
  /** Milliseconds between two lines of progress. */
  readonly progressEveryMs?: number
  /** Milliseconds that `rm` waits for a running proxy. */
  readonly maxWaitMs?: number
}

/** A proxy looks for removals once a second; S3 may need some seconds for each object. */
const defaultMaxWaitMs = 60_000

const kinds = ['blobs', 'manifests'] as const

/** @returns false if something is wrong with the cache. @throws {Error} if it is none, or nothing is there to remove */
export const cacheCommand = async (options: CacheCommandOptions): Promise<boolean> => {
  checkCacheDirectory(options.directory)
  if (options.action === 'stats') return await stats(options)
  if (options.action === 'verify') return await verify(options)
  return await remove(options)
}

const sizeText = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`

const tagsOf = (directory: string, onWarning: (message: string) => void): KeyJournal =>
  new KeyJournal({ path: join(directory, 'tags'), queue: new DiskQueue(), onWarning })

const stats = async ({ directory, print }: CacheCommandOptions): Promise<boolean> => {
  for (const kind of kinds) {
    let [entries, bytes] = [0, 0]
    for await (const { size } of entriesOf(directory, kind)) {
      entries += 1
      bytes += size
    }
    print(`${kind}: ${entries}, ${sizeText(bytes)}`)
  }
  const tags = tagsOf(directory, print)
  print(`tags: ${tags.size}`)
  await tags.close()
  return true
}

const verify = async ({
  directory,
  print,
  progressEveryMs = 5000,
}: CacheCommandOptions): Promise<boolean> => {
  let [entries, bytes, wrong] = [0, 0, 0]
  let toldAt = performance.now()
  for (const kind of kinds)
    for await (const entry of entriesOf(directory, kind)) {
      if (!(await isIntact(entry))) {
        wrong += 1
        await removeEntry(entry)
        print(`${entry.digest} is wrong; removed`)
      }
      entries += 1
      bytes += entry.size
      if (performance.now() - toldAt < progressEveryMs) continue
      toldAt = performance.now()
      print(`... ${entries} entries, ${sizeText(bytes)} read`)
    }
  print(`${entries} entries, ${sizeText(bytes)}: ${wrong === 0 ? 'all of them right' : `${wrong} wrong`}`)
  return wrong === 0
}

const remove = async (options: CacheCommandOptions): Promise<boolean> => {
  const { directory, target = '', bucket, print } = options
  const tags = tagsOf(directory, print)
  const named = tags.startingWith(`${target} `)
  const digests = isDigest(target) ? [target] : named.map(([, { value }]) => value)
  const entries = (
    await Promise.all([...new Set(digests)].map(async (of) => await reachable(directory, of)))
  ).flat()
  const isInUse = isDirectoryInUse(directory)
  // The digest may be elsewhere: in the memory of a proxy, or in S3.
  const mayBeElsewhere = isDigest(target) && (isInUse || bucket !== undefined)
  if (entries.length === 0 && named.length === 0 && !mayBeElsewhere) {
    await tags.close()
    throw new Error(
      `${target} is not in the cache; a tag is written as upstream has it, such as ocp_4.5_base`,
    )
  }
  for (const entry of entries) {
    await removeEntry(entry)
    print(`removed ${entry.digest} (${entry.kind}, ${sizeText(entry.size)})`)
  }
  const removal = {
    digests: [...new Set([...digests, ...entries.map(({ digest }) => digest)])],
    tags: isDigest(target) ? [] : [target],
  }
  const report = isInUse ? await forgottenByProxy(options, removal) : undefined
  // A running proxy has the tags in memory, and writes them.
  if (report === undefined) for (const [key] of named) tags.delete(key)
  await tags.close()
  const isGone = await removedFromS3(options, removal.digests, isInUse, report)
  return isGone && (report !== undefined || !isInUse)
}

/** @returns undefined if the proxy does not answer */
const forgottenByProxy = async (
  { directory, print, maxWaitMs = defaultMaxWaitMs }: CacheCommandOptions,
  removal: Removal,
): Promise<RemovalReport | undefined> => {
  const report = await requestRemoval(directory, removal, maxWaitMs)
  print(
    report === undefined
      ? 'The proxy that runs on the directory does not answer: restart it, so that it forgets these as well.'
      : 'The running proxy has forgotten them.',
  )
  return report
}

/** By the running proxy, or else by this command. @returns false if S3 still has something */
const removedFromS3 = async (
  { bucket, print }: CacheCommandOptions,
  digests: readonly string[],
  isInUse: boolean,
  report: RemovalReport | undefined,
): Promise<boolean> => {
  const purged = report?.s3 ?? (bucket && (await purgeBucket(bucket, digests, print)))
  if (purged !== undefined) {
    const { removed, failed } = purged
    print(
      `S3: ${removed} objects removed${failed === 0 ? '' : `, ${failed} could not be removed; try again`}`,
    )
    return failed === 0
  }
  if (!isInUse)
    print(
      'No proxy runs on the directory: objects in S3 stay. To remove them too, run this while the proxy runs, or with its --cache-s3 flags.',
    )
  return true
}

/** The first reason of a failure is printed: the others are the same. */
const purgeBucket = async (
  { location, credentials, ...flags }: CacheBucket,
  digests: readonly string[],
  print: CacheCommandOptions['print'],
): Promise<Purged> => {
  const store = await openS3(location, flags, credentials && (() => credentials))
  const reasons: unknown[] = []
  const onError = (error: unknown) => void reasons.push(error)
  const purged = await purgeAll(digests, purgeFrom({ store, prefix: location.prefix, onError }))
  store.close()
  if (reasons.length > 0) print(`S3 fails: ${describeS3Error(reasons[0])}`)
  return purged
}

/**
 * An entry, and if it is a manifest, everything that it names. Content that other images share is removed as well, and fetched again when
 * it is needed.
 */
const reachable = async (directory: string, digest: string): Promise<readonly ScannedEntry[]> => {
  const found = await entriesNamed(directory, digest)
  const below = await Promise.all(
    found.map(async (entry) => {
      const content = entry.kind === 'manifests' ? (await readManifest(entry))?.content : undefined
      const parsed = content && parseManifest(content)
      if (typeof parsed !== 'object') return []
      const names = [...parsed.manifests, ...parsed.blobs]
      return (await Promise.all(names.map(async (name) => await reachable(directory, name)))).flat()
    }),
  )
  return [...found, ...below.flat()]
}
