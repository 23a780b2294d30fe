/**
 * The current image of each tag of an ImageStream. Nothing else of the object is kept in memory, because some have megabytes of history.
 * @see https://docs.openshift.com/container-platform/latest/rest_api/image_apis/imagestream-image-openshift-io-v1.html
 */
import type { WatchedObject } from '../../kubernetes/watched-object.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'
import { qciProxy, qciRegistry, qciRepository } from '../config/mirror-config.ts'
import { parseImageReference } from '../names/image-reference.ts'

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

/** For the watch of all ImageStreams. */
export interface StreamTag {
  readonly image: CurrentImage
  /** Milliseconds since the epoch at which the tag got this image. */
  readonly setAt: number | undefined
}

/** The fields that are read. Each may be absent: other programs write the object. */
interface StatusTag {
  readonly tag?: unknown
  readonly items?: readonly Item[] | null
}
interface Item {
  readonly image?: unknown
  readonly dockerImageReference?: unknown
  readonly created?: unknown
}

export const currentImagesOf = (
  object: WatchedObject,
  isWanted: (tag: string) => boolean = () => true,
): CurrentImages => new Map(newestItems(object, isWanted).map(([tag, item]) => [tag, imageOf(item)]))

/** Without tags that refer to QCI: its image is there. */
export const streamTagsOf = (
  object: WatchedObject,
  isWanted: (tag: string) => boolean,
): ReadonlyMap<string, StreamTag> => {
  const tags = newestItems(object, isWanted).map(([tag, item]) => [tag, streamTagOf(item)] as const)
  return new Map(tags.filter((entry): entry is [string, StreamTag] => entry[1] !== undefined))
}

/** The newest item of a tag is the first one. */
const newestItems = (
  { status }: WatchedObject,
  isWanted: (tag: string) => boolean,
): readonly (readonly [tag: string, item: Item])[] => {
  const { tags } = (status ?? {}) as { readonly tags?: readonly StatusTag[] | null }
  return (tags ?? []).flatMap(({ tag, items }) =>
    typeof tag === 'string' && tag !== '' && isWanted(tag) ? [[tag, items?.[0] ?? {}] as const] : [],
  )
}

const imageOf = ({ image, dockerImageReference }: Item): CurrentImage => {
  if (typeof image === 'string' && isDigest(image)) return image
  return typeof dockerImageReference === 'string' && dockerImageReference !== '' ? 'reference' : 'none'
}

const streamTagOf = (item: Item): StreamTag | undefined => {
  const image = imageOf(item)
  if (image === 'reference' && isOfQci(String(item.dockerImageReference))) return undefined
  const setAt = typeof item.created === 'string' ? Date.parse(item.created) : NaN
  return { image, setAt: Number.isNaN(setAt) ? undefined : setAt }
}

/** Promotion writes such tags, by digest. */
const isOfQci = (reference: string): boolean => {
  const image = parseImageReference(reference)
  if (typeof image === 'string') return false
  const { registry, repository } = image
  return registry === qciProxy || (registry === qciRegistry && repository === qciRepository)
}
