/**
 * Requests that want an answer only if it is another one than they have.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
 */

/** One entity tag of the list and what stands before it; entries may be empty. */
const entry = /[ \t,]*(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)/y

/**
 * Whether the client has what it asks for, by weak comparison. A list that is no list of entity tags matches up to where it ends to
 * be one.
 * @param ifNoneMatch the field as it came
 * @param tag the entity tag, without its quotes
 */
export const isUnchanged = (ifNoneMatch: string | undefined, tag: string): boolean => {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  entry.lastIndex = 0
  for (let match = entry.exec(ifNoneMatch); match !== null; match = entry.exec(ifNoneMatch))
    if (match[1] === tag) return true
  return false
}
