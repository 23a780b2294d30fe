/**
 * The order of upstream's tag list, and positions in it. Quay sorts like its database: by bytes, or as text, which ignores punctuation at
 * first. A jump over irrelevant tags is correct in the order of bytes only.
 */

/** Sorts after every character of a tag. */
export const behindAll = '~'
/** Sorts after every digit, and before every letter. */
const behindDigits = ':'

/**
 * Families whose rest is a tag of its own (`art__`, `preserved__`, `__ci_images_mirror__`, future ones): a jump over one namespace in them must
 * not jump over the next one.
 */
const familyPattern = /^(?:[^_]*__(?:ci_images_mirror__)?)+/
/** Dated copies begin with their time. There are too many of them to read them before all other tags. */
const datedPattern = /^\d{4}\d{4}(?:\d{6}_prune_|_sha256_)/

/** Whether a page is in ascending order of bytes, after the tag that it was requested with. */
export const isInByteOrder = (after: string | undefined, tags: readonly string[]): boolean => {
  let last = after ?? ''
  for (const tag of tags) {
    if (tag <= last) return false
    last = tag
  }
  return true
}

/**
 * The position after the namespace of a tag, or after a year of dated copies; undefined for a tag without either. It is not a tag itself:
 * upstream only compares with it.
 */
export const behindBlockOf = (tag: string): string | undefined => {
  if (datedPattern.test(tag)) return tag.slice(0, 4) + behindDigits
  const family = familyPattern.exec(tag)?.[0] ?? ''
  const cut = tag.indexOf('_', family.length)
  return cut <= family.length ? undefined : `${tag.slice(0, cut + 1)}${behindAll}`
}

/** A tag as a database compares it at first: letters without case, digits, no punctuation. */
const letters = (text: string): string => text.replaceAll(/[^a-z0-9]/gi, '').toLowerCase()

/** Whether every tag from this one on comes after the prefix, if upstream sorts by bytes. */
export const isBehindInBytes = (tag: string, prefix: string): boolean =>
  tag > prefix && !tag.startsWith(prefix)

/** The same for either order of upstream. */
export const isBehindPrefix = (tag: string, prefix: string): boolean =>
  isBehindInBytes(tag, prefix) && letters(tag) > letters(prefix) && !letters(tag).startsWith(letters(prefix))

export const hourLength = '2026112817'.length

/** A text that sorts before every copy of this hour or later: `2026112817`. @param time milliseconds since the epoch */
export const hourOf = (time: number): string =>
  new Date(time).toISOString().replaceAll(/\D/g, '').slice(0, hourLength)

export const isDated = (tag: string): boolean => datedPattern.test(tag)

/** The tag that a dated tag is a copy of; undefined for other tags. */
export const copiedTagOf = (tag: string): string | undefined =>
  /^\d{14}_prune_(?:__ci_images_mirror__)?(.+)$/.exec(tag)?.[1]

/** The text at which dated copies begin, and a check for tags after all of them: they are of this century. */
export const datedBegin = '20'
export const isBehindDated = (tag: string): boolean => letters(tag) > '21'
