/**
 * What each tag of an ImageStream points to now. Nothing else of the object is kept in memory: some have megabytes of history.
 * @see https://docs.openshift.com/container-platform/latest/rest_api/image_apis/imagestream-image-openshift-io-v1.html
 */
import type { WatchedObject } from '../../kubernetes/watched-object.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'

/**
 * A digest: the registry of app.ci has the image. `reference`: the image is elsewhere, and the registry fetches it by the tag. `none`: the
 * tag has no image, because its import failed or nothing was pushed to it.
 */
export type CurrentImage = Digest | 'reference' | 'none'

/** Undefined if the image has to be read by its tag. */
export const pinnedDigest = (current: CurrentImage): Digest | undefined =>
  current === 'reference' || current === 'none' ? undefined : current

/** Why a tag without an image is left out: a sentence without its full stop. */
export const noImage = (imageStreamTag: string): string =>
  `the ImageStream tag ${imageStreamTag} has no image: its import failed, or nothing was pushed to it`

/** By tag. */
export type CurrentImages = ReadonlyMap<string, CurrentImage>

/** The fields that are read. Each may be absent: other programs write the object. */
interface StatusTag {
  readonly tag?: unknown
  readonly items?: readonly { readonly image?: unknown; readonly dockerImageReference?: unknown }[] | null
}

/** The newest item of a tag is the first one. */
export const currentImagesOf = (
  { status }: WatchedObject,
  isWanted: (tag: string) => boolean = () => true,
): CurrentImages => {
  const { tags } = (status ?? {}) as { readonly tags?: readonly StatusTag[] | null }
  const current = new Map<string, CurrentImage>()
  for (const { tag, items } of tags ?? [])
    if (typeof tag === 'string' && tag !== '' && isWanted(tag)) current.set(tag, imageOf(items?.[0]))
  return current
}

const imageOf = (item: NonNullable<StatusTag['items']>[number] | undefined): CurrentImage => {
  const { image, dockerImageReference } = item ?? {}
  if (typeof image === 'string' && isDigest(image)) return image
  return typeof dockerImageReference === 'string' && dockerImageReference !== '' ? 'reference' : 'none'
}
