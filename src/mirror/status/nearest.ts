/**
 * Finds the name that a user probably meant.
 */
import { distance } from 'fastest-levenshtein'

/** Characters: the comparison takes the product of the two lengths. */
const longest = 200

/** @returns undefined if no name is similar */
export const nearestOf = (text: string, names: readonly string[]): string | undefined => {
  const meant = text.slice(0, longest)
  const most = Math.max(2, Math.floor(meant.length / 4))
  let [nearest, least] = [undefined as string | undefined, most + 1]
  for (const name of names) {
    const edits = distance(meant, name.slice(0, longest))
    if (edits < least) [nearest, least] = [name, edits]
  }
  return nearest
}
