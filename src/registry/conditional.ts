/**
 * Conditional requests: 304 if the client already has the current version.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
 */

/** One entity tag of the list, with the separators before it. Entries may be empty. */
const entry = /[ \t,]*(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)/y

/**
 * Weak comparison. In a malformed list, the entity tags before the malformed part count.
 * @param ifNoneMatch the value of the field, as received
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
