/**
 * Decides whether an image has to be copied: sends one HEAD to each side, and compares the digests of the top manifests. A list that gains
 * a platform has another digest.
 */
import { isDigest, type Digest } from '../../oci/digest.ts'
import type { Repository } from '../registry/repository.ts'

export type Comparison =
  | { readonly state: 'same'; readonly digest: Digest }
  /** `replaced`: undefined if the target does not have the tag yet. */
  | { readonly state: 'different'; readonly digest: Digest; readonly replaced: Digest | undefined }
  | { readonly state: 'missing' }

export interface ComparedImage {
  readonly source: Repository
  /** The tag or digest of the source. */
  readonly version: string
  readonly target: Repository
  readonly float: string
}

/**
 * Resolves the tag of the source once: the copy takes this digest later. A pinned source gets no request while the target has its digest.
 * @throws {RegistryFailure}
 */
export const compareImages = async ({
  source,
  version,
  target,
  float,
}: ComparedImage): Promise<Comparison> => {
  const pinned = isDigest(version) ? version : undefined
  const [resolved, replaced] = await Promise.all([pinned ?? source.resolve(version), target.resolve(float)])
  if (pinned !== undefined && pinned === replaced) return { state: 'same', digest: pinned }
  const digest = pinned === undefined ? resolved : await source.resolve(pinned)
  if (digest === undefined) return { state: 'missing' }
  return digest === replaced ? { state: 'same', digest } : { state: 'different', digest, replaced }
}
