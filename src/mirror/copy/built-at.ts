/**
 * Reads from its configuration when an image was built.
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md
 */
import type { Digest } from '../../oci/digest.ts'
import { parseAnswer } from '../../oci/json-bounds.ts'
import { readBlob } from '../registry/blob-source.ts'
import type { Repository } from '../registry/repository.ts'
import { hasDigest } from '../registry/verified.ts'
import { readManifestContent } from './manifest-content.ts'

/** Bytes. A configuration has some kilobytes. */
const maxConfigBytes = 4 * 1024 * 1024
/** Attack: an index of indexes without end. */
const maxDepth = 3

/** Requests for the images of a list. Real lists have a handful; of a longer one, no time is known. */
const maxImages = 16

/**
 * For a list, the latest time of its images: a list may get a rebuilt image next to old ones.
 * @returns milliseconds since the epoch; undefined if the image has no time
 * @throws {RegistryFailure} if the registry does not answer
 */
export const builtAt = async (
  repository: Repository,
  digest: Digest,
  depth = 0,
): Promise<number | undefined> => {
  const manifest = depth < maxDepth ? await repository.manifest(digest) : undefined
  if (manifest === undefined) return undefined
  const { children, blobs } = contentOf(manifest, repository.label)
  if (children.length > 0) return await latestOf(repository, children, depth + 1)
  const [config] = blobs
  if (config === undefined || config.size > maxConfigBytes) return undefined
  const chunks: Buffer[] = []
  for await (const chunk of readBlob(repository, config.digest, config.size)) chunks.push(chunk)
  return createdIn(Buffer.concat(chunks), config.digest)
}

const latestOf = async (
  repository: Repository,
  images: readonly Digest[],
  depth: number,
): Promise<number | undefined> => {
  if (images.length > maxImages) return undefined
  let latest: number | undefined
  for (const image of images) {
    const at = await builtAt(repository, image, depth)
    if (at !== undefined && (latest === undefined || at > latest)) latest = at
  }
  return latest
}

/** An image that is not copied anyway, such as one of schema 1, needs no time. */
const contentOf = (
  ...args: Parameters<typeof readManifestContent>
): Pick<ReturnType<typeof readManifestContent>, 'children' | 'blobs'> => {
  try {
    return readManifestContent(...args)
  } catch {
    return { children: [], blobs: [] }
  }
}

/** Reproducible builds write the year 1 or 1970, and mean no time. The first images of containers are of 2013. */
const firstImages = Date.UTC(2013, 0)

const createdIn = (bytes: Buffer, digest: Digest): number | undefined => {
  if (!hasDigest(bytes, digest)) return undefined
  try {
    const { created } = parseAnswer(bytes) as { readonly created?: unknown }
    const at = typeof created === 'string' ? Date.parse(created) : NaN
    return at >= firstImages ? at : undefined
  } catch {
    return undefined
  }
}
