/**
 * Reads the claims of an ImageStream: the digests that each of its tags points to, or pointed to before.
 */
import { isDigest, type Digest } from '../oci/reference.ts'
import type { WatchedObject } from './watched-object.ts'

/** The ImageStream says that this tag has, or had, this digest. */
export interface TagClaim {
  readonly digest: Digest
  readonly tag: string
}

/** The fields of an ImageStream that are read. Each may be absent: other programs write the object. */
interface Status {
  readonly tags?: readonly StatusTag[] | null
}
interface StatusTag {
  readonly tag?: string
  readonly items?: readonly { readonly image?: string; readonly dockerImageReference?: string }[] | null
}
interface Spec {
  readonly tags?: readonly SpecTag[] | null
}
interface SpecTag {
  readonly name?: string
  readonly from?: { readonly kind?: string; readonly name?: string } | null
}

/**
 * Every digest that a tag points to, or pointed to and that the status still lists: the newest first, for each tag.
 * @param monorepos names of the monorepo in pull specs: `quay-proxy.ci.openshift.org/openshift/ci`
 */
export const claimsOf = (
  { spec, status }: WatchedObject,
  monorepos: readonly string[],
): readonly TagClaim[] => {
  const fromStatus = ((status ?? {}) as Status).tags ?? []
  const fromSpec = ((spec ?? {}) as Spec).tags ?? []
  return [
    ...fromStatus.flatMap(({ tag = '', items }) =>
      (items ?? []).map(({ image = '', dockerImageReference }) => ({
        tag,
        // Promotion writes reference tags (`oc tag --reference`): OpenShift imports nothing then, and leaves `image` empty.
        digest: isDigest(image) ? image : digestIn(dockerImageReference, monorepos),
      })),
    ),
    ...fromSpec.map(({ name = '', from }) => ({
      tag: name,
      digest: from?.kind === 'DockerImage' ? digestIn(from.name, monorepos) : undefined,
    })),
  ].flatMap(({ tag, digest }) => (digest === undefined || typeof tag !== 'string' ? [] : [{ tag, digest }]))
}

/** The digest of `<monorepo>@<digest>`; undefined for another repository, and for a reference by tag. */
const digestIn = (reference: string | undefined, monorepos: readonly string[]): Digest | undefined => {
  if (typeof reference !== 'string') return undefined
  const at = reference.lastIndexOf('@')
  const digest = reference.slice(at + 1)
  return at > 0 && monorepos.includes(reference.slice(0, at)) && isDigest(digest) ? digest : undefined
}
