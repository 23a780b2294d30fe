/**
 * Whether an image has to be copied: one HEAD per side, and the digests at the top. A list with another platform is another list.
 */
import { isDigest, type Digest } from '../../oci/digest.ts'
import type { Repository } from '../registry/repository.ts'

export type Comparison =
  | { readonly state: 'same'; readonly digest: Digest }
  /** `replaced`: undefined where the target has no such tag yet. */
  | { readonly state: 'different'; readonly digest: Digest; readonly replaced: Digest | undefined }
  | { readonly state: 'missing' }

export interface ComparedImage {
  readonly source: Repository
  /** Of the source: a tag or a digest. */
  readonly version: string
  readonly target: Repository
  readonly float: string
}

/**
 * The tag of the source is resolved once: what is copied later is this digest. A source that is pinned already gets no request while the
 * target has it.
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
