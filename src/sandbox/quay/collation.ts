/**
 * The order in which quay lists tags is that of its database, which quay.io does not document. A walk over the tags must work with both
 * orders: by bytes, and as text.
 */

export type CollationName = 'bytes' | 'text'

/** A total order of tags: only equal names are equal. */
export interface Collation {
  /** Negative, zero or positive, also for a `last` that is no tag. */
  readonly compare: (left: string, right: string) => number
  /** A new list in order; a million names take some seconds. */
  readonly inOrder: (names: readonly string[]) => string[]
}

const byCodeUnit = (left: string, right: string): number => (left < right ? -1 : Number(left > right))

/** The order of PostgreSQL with `C`, and of most registries: tags are ASCII, so code units are bytes. */
const bytes: Collation = { compare: byCodeUnit, inOrder: (names) => names.toSorted(byCodeUnit) }

const collator = new Intl.Collator('en', { ignorePunctuation: true })

/** PostgreSQL breaks ties by bytes, because two names that differ are two tags. */
const compareText = (left: string, right: string): number =>
  collator.compare(left, right) || byCodeUnit(left, right)

/** Compares by code unit as `compareText` does, for names of the grammar of tags: letters without their case, then case, then bytes. */
const sortKey = (tag: string): string => {
  const letters = tag.replaceAll(/[_.-]/g, '')
  const lower = letters.toLowerCase()
  // Small before large, in the first place that differs; a name all in small letters comes before every other.
  const cases = lower === letters ? '' : letters.replaceAll(/[a-z]/gi, swapCase)
  return `${lower}\0${cases}\0${tag}`
}

const swapCase = (letter: string): string => {
  const lower = letter.toLowerCase()
  return letter === lower ? letter.toUpperCase() : lower
}

/** PostgreSQL with `en_US` or an ICU locale: punctuation is ignored at first, so `ocp-priv_4` comes between `ocp_p` and `ocpq`. */
const text: Collation = {
  compare: compareText,
  // A collator takes microseconds for each of twenty million comparisons: keys first.
  inOrder: (names) =>
    names
      .map((name) => ({ name, key: sortKey(name) }))
      .toSorted((left, right) => byCodeUnit(left.key, right.key))
      .map(({ name }) => name),
}

export const collations: Readonly<Record<CollationName, Collation>> = { bytes, text }
