/** Whether a name is another one with a typing error. */
import { distance } from 'fastest-levenshtein'

/**
 * A typing error changes a letter or two, or exchanges neighbors; half of a short name is another name.
 *
 * @returns the number of changed letters; undefined for the same name, and for another one
 */
export const typingErrorsIn = (written: string, meant: string): number | undefined => {
  const edits = distance(written, meant)
  return edits > 0 && edits <= Math.min(3, Math.floor(written.length / 2)) ? edits : undefined
}
