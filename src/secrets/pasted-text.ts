/**
 * Text as people and tools write it into files and logins: with byte order marks, line ends of other systems, padding, blanks. At the ends
 * of a secret these are not a part of it. In the middle they cause a warning, because a part of the secret may be missing.
 */

/**
 * White space, control characters (tools pad with NUL), and the invisible characters of Unicode: byte order marks, direction marks, joiners,
 * fillers, soft hyphens. By Unicode property, because no list stays complete.
 */
const blanks = /[\p{White_Space}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu

const isBlank = (character: string): boolean => character.search(blanks) === 0

/** Removes the blanks at both ends. Character by character: a regular expression for the trailing ones takes quadratic time. */
export const trimBlanks = (text: string): string => {
  let [start, end] = [0, text.length]
  for (let first = firstOf(text, start); isBlank(first); first = firstOf(text, start)) start += first.length
  for (let last = lastOf(text, end); end > start && isBlank(last); last = lastOf(text, end))
    end -= last.length
  return text.slice(start, end)
}

/** Some characters have two UTF-16 units. The result is empty at the end of the text. */
const firstOf = (text: string, start: number): string => Array.from(text.slice(start, start + 2))[0] ?? ''
const lastOf = (text: string, end: number): string =>
  Array.from(text.slice(Math.max(0, end - 2), end)).at(-1) ?? ''

/** For base64, which files wrap into lines. */
export const withoutBlanks = (text: string): string => text.replaceAll(blanks, '')

/** The nonempty lines, trimmed. */
export const linesOf = (content: string): readonly string[] =>
  content
    .split(/[\r\n]/)
    .map(trimBlanks)
    .filter((line) => line !== '')

/** @param text that was trimmed */
export const hasInnerBlanks = (text: string): boolean => text.search(blanks) !== -1
