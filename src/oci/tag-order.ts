/**
 * The order of upstream's tag list, and where to go on in it. Quay sorts as its database does: by bytes, or as text, where punctuation is
 * passed over at first. A jump over tags that do not matter is right in the order of bytes alone.
 */

/** Sorts behind every character of a tag. */
export const behindAll = '~'
/** Sorts behind every digit, and before every letter. */
const behindDigits = ':'

/**
 * Families whose rest is a tag of its own (`art__`, `preserved__`, `__ci_images_mirror__`, one that comes): a jump over one namespace in
 * them must not pass over the next.
 */
const familyPattern = /^(?:[^_]*__(?:ci_images_mirror__)?)+/
/** Dated copies begin with their time, and are too many to be read before anything else. */
const datedPattern = /^\d{4}\d{4}(?:\d{6}_prune_|_sha256_)/

/** Whether a page goes on upwards, by bytes, from where it was asked for. */
export const isInByteOrder = (after: string | undefined, tags: readonly string[]): boolean => {
  let last = after ?? ''
  for (const tag of tags) {
    if (tag <= last) return false
    last = tag
  }
  return true
}

/**
 * Where the list goes on behind the namespace that a tag belongs to, or behind a year of dated copies; undefined for a tag that stands
 * alone. Not a tag itself: upstream compares with it, and does not look for it.
 */
export const behindBlockOf = (tag: string): string | undefined => {
  if (datedPattern.test(tag)) return tag.slice(0, 4) + behindDigits
  const family = familyPattern.exec(tag)?.[0] ?? ''
  const cut = tag.indexOf('_', family.length)
  return cut <= family.length ? undefined : `${tag.slice(0, cut + 1)}${behindAll}`
}

/** A tag as a database compares text at first: letters without case, digits, no punctuation. */
const letters = (text: string): string => text.replaceAll(/[^a-z0-9]/gi, '').toLowerCase()

/** Whether every tag from this one on lies behind the prefix, where upstream sorts by bytes. */
export const isBehindInBytes = (tag: string, prefix: string): boolean =>
  tag > prefix && !tag.startsWith(prefix)

/** The same, whichever of the two orders upstream has. */
export const isBehindPrefix = (tag: string, prefix: string): boolean =>
  isBehindInBytes(tag, prefix) && letters(tag) > letters(prefix) && !letters(tag).startsWith(letters(prefix))

export const hourLength = '2026112817'.length

/** The text that every copy of this hour or later lies behind: `2026112817`. @param time milliseconds since the epoch */
export const hourOf = (time: number): string =>
  new Date(time).toISOString().replaceAll(/\D/g, '').slice(0, hourLength)

export const isDated = (tag: string): boolean => datedPattern.test(tag)

/** The tag whose copy a dated tag is; undefined for one that is no copy of a tag. */
export const copiedTagOf = (tag: string): string | undefined =>
  /^\d{14}_prune_(?:__ci_images_mirror__)?(.+)$/.exec(tag)?.[1]

/** Where dated copies begin, and the text that all of them lie before: the first ones are of this century. */
export const datedBegin = '20'
export const isBehindDated = (tag: string): boolean => letters(tag) > '21'
