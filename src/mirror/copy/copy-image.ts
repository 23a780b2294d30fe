/**
 * Copies one image from its source to its float. In this order, no interruption loses an image:
 *
 *     read all manifests of the source        a broken source is found while the target is untouched
 *     blobs and children into the target      nothing points to them yet
 *     where asked for: signatures and SBOMs   complete before somebody pulls the image
 *     the old digest under its prune tag      and read back
 *     the new manifest under the float        by its bytes, which have the digest that was compared
 */
import type { Digest } from '../../oci/digest.ts'
import { RegistryFailure } from '../registry/failure.ts'
import type { Manifest, Repository } from '../registry/repository.ts'
import { copyAttachments, type CopiedAttachments, type ExpectedFloat } from './attachments.ts'
import type { BlobCopier, BlobOutcome } from './blob-copier.ts'
import { requireGzipLayers } from './manifest-content.ts'
import type { Retention } from './retention.ts'
import { readSourceImage, type SourceManifest } from './source-image.ts'

export interface CopyTools {
  readonly blobs: BlobCopier
  readonly retention: Retention
}

export interface CopyRequest {
  readonly source: Repository
  /** Pinned, so a later change of its tag makes no difference. */
  readonly digest: Digest
  readonly target: Repository
  readonly float: string
  /** False for a registry that keeps a history itself; true unless given. */
  readonly keepsOld?: boolean
  /** If given, a float with another image is not changed. */
  readonly expected?: ExpectedFloat
  /** Whether signatures, attestations and SBOMs are copied, too. */
  readonly hasAttachments?: boolean
  /** Whether schema 2 with a layer that is not gzip is refused. */
  readonly onlyGzipLayers?: boolean
}

export interface CopyResult {
  /** The number of blobs that were mounted, present or uploaded. */
  readonly blobs: Readonly<Record<BlobOutcome, number>>
  /** Bytes of the uploaded blobs. */
  readonly bytes: number
  /** Signatures, attestations and SBOMs. Undefined if they are not copied. */
  readonly attachments?: CopiedAttachments
  /**
   * The digest that the float had before, and the tag that keeps it. Undefined for a new float; the tag is also undefined if no copy is
   * kept.
   */
  readonly replaced: { readonly digest: Digest; readonly pruneTag: string | undefined } | undefined
}

/** Safe to call again after any failure. @throws {RegistryFailure} @throws {PermitLost} */
export const copyImage = async (tools: CopyTools, request: CopyRequest): Promise<CopyResult> => {
  const manifests = await readSourceImage(request.source, request.digest)
  if (request.onlyGzipLayers === true)
    for (const manifest of manifests) requireGzipLayers(manifest, manifest.content, request.source.label)
  const moved = { blobs: { mounted: 0, present: 0, uploaded: 0 }, bytes: 0 }
  try {
    for (const manifest of manifests) await copyContent(tools, request, manifest, moved)
    const attachments = request.hasAttachments === true && (await attach(tools, request, manifests, moved))
    const replaced = await switchFloat(tools.retention, request, manifests.at(-1) as SourceManifest)
    return { ...moved, ...(attachments !== false && { attachments }), replaced }
  } catch (error) {
    // The registry may have deleted a blob since it arrived: the next try looks again.
    for (const { content } of manifests) tools.blobs.forget(request.target, content.blobs)
    throw error
  }
}

type Moved = { readonly blobs: Record<BlobOutcome, number>; bytes: number }

const attach = async (
  tools: CopyTools,
  { source, target, keepsOld }: CopyRequest,
  manifests: readonly SourceManifest[],
  moved: Moved,
): Promise<CopiedAttachments> => {
  const digests = manifests.map(({ digest }) => digest)
  return await copyAttachments({ source, target }, digests, {
    copyContent: async (parts) => {
      for (const part of parts) await copyContent(tools, { source, target, digest: undefined }, part, moved)
    },
    setTag: async (float, manifest, expected) => {
      const request = {
        target,
        float,
        digest: manifest.digest,
        ...(keepsOld === undefined ? {} : { keepsOld }),
        ...(expected === undefined ? {} : { expected }),
      }
      await switchFloat(tools.retention, request, manifest)
    },
  })
}

/** If the target has a manifest, it also has everything that the manifest names: the registry has checked that. */
const copyContent = async (
  { blobs }: CopyTools,
  {
    source,
    target,
    digest,
  }: Pick<CopyRequest, 'source' | 'target'> & { readonly digest: Digest | undefined },
  manifest: SourceManifest,
  moved: Moved,
): Promise<void> => {
  if ((await target.resolve(manifest.digest)) !== undefined) return
  for (const blob of manifest.content.blobs) {
    const outcome = await blobs.copy(source, target, blob)
    moved.blobs[outcome] += 1
    if (outcome === 'uploaded') moved.bytes += blob.size
  }
  // The image itself gets its tag at once.
  if (manifest.digest !== digest) await target.putManifest(manifest.digest, manifest)
}

const switchFloat = async (
  retention: Retention,
  { target, float, digest, expected, keepsOld = true }: Omit<CopyRequest, 'source'>,
  manifest: Manifest,
): Promise<CopyResult['replaced']> => {
  const old = await target.resolveSurely(float)
  if (old === digest) return undefined
  // The next comparison decides again, with the image that is there now.
  if (expected !== undefined && old !== expected.digest)
    throw new RegistryFailure(
      'transient',
      `somebody else has written ${target.label}:${float} since it was compared`,
    )
  const pruneTag = old === undefined || !keepsOld ? undefined : await retention.keep(target, float, old)
  // Promotions write floats, too. A registry has no conditional PUT, so another writer can still come between this request and the next
  // one.
  if (pruneTag !== undefined && (await target.resolve(float)) !== old)
    throw new RegistryFailure('transient', `somebody else has just written ${target.label}:${float}`)
  // Sent once, because a repetition could overwrite an image that somebody else has pushed meanwhile.
  await target.putManifest(float, manifest, false)
  if ((await target.resolve(float)) !== digest)
    throw new RegistryFailure('transient', `${target.label} does not show ${digest} as ${float}`)
  if (old === undefined) return undefined
  retention.done(target, float, old)
  return { digest: old, pruneTag }
}
