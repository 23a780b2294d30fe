/**
 * Reads all manifests of an image before anything is written, so that a source with a missing child is found while the target is unchanged.
 */
import type { Digest } from '../../oci/digest.ts'
import { RegistryFailure } from '../registry/failure.ts'
import type { Manifest, Repository } from '../registry/repository.ts'
import { readManifestContent, type ManifestContent } from './manifest-content.ts'

export interface SourceManifest extends Manifest {
  readonly content: ManifestContent
}

/** The largest release payload has some hundreds. Attack: an index of indexes without end. */
const maxManifests = 1000

/** Children before parents: the image itself is the last one. @throws {RegistryFailure} */
export const readSourceImage = async (
  repository: Repository,
  root: Digest,
): Promise<readonly SourceManifest[]> => {
  const found = new Map<Digest, SourceManifest>()
  const visit = async (digest: Digest, parent: Digest | undefined): Promise<void> => {
    if (found.has(digest)) return
    if (found.size >= maxManifests)
      throw new RegistryFailure(
        'refused',
        `${repository.label} has more than ${maxManifests} manifests in ${root}`,
      )
    const manifest = await repository.manifest(digest)
    if (manifest === undefined) throw missing(repository, digest, parent)
    const content = readManifestContent(manifest, repository.label)
    for (const child of content.children) await visit(child, digest)
    found.set(digest, { ...manifest, mediaType: content.mediaType, content })
  }
  await visit(root, undefined)
  return [...found.values()]
}

const missing = (repository: Repository, digest: Digest, parent: Digest | undefined): RegistryFailure =>
  parent === undefined
    ? new RegistryFailure('transient', `${repository.label} does not have ${digest} any more`)
    : new RegistryFailure(
        'refused',
        `${repository.label} does not have ${digest}, a part of the list ${parent}: push the source again`,
      )
