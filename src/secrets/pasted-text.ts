/**
 * Text as people and tools leave it in files and logins: with byte order marks, line ends of other systems, padding, blanks. None of
 * these is part of a secret at its ends; in the middle they are told, because half of what was meant may be missing.
 */

/**
 * White space, controls (tools pad with NUL), and the characters that Unicode does not show: byte order marks, marks of direction,
 * joiners, fillers, soft hyphens. By property: no list of them stays complete.
 */
const blanks = /[\p{White_Space}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu

const isBlank = (character: string): boolean => character.search(blanks) === 0

/** Without the blanks at its ends. Character by character: an expression for the trailing ones takes quadratic time. */
export const trimBlanks = (text: string): string => {
  let [start, end] = [0, text.length]
  for (let first = firstOf(text, start); isBlank(first); first = firstOf(text, start)) start += first.length
  for (let last = lastOf(text, end); end > start && isBlank(last); last = lastOf(text, end))
    end -= last.length
  return text.slice(start, end)
}

/** Some characters take two units of a string. Empty at the end. */
const firstOf = (text: string, start: number): string => Array.from(text.slice(start, start + 2))[0] ?? ''
const lastOf = (text: string, end: number): string =>
  Array.from(text.slice(Math.max(0, end - 2), end)).at(-1) ?? ''

/** For base64, which files wrap. */
export const withoutBlanks = (text: string): string => text.replaceAll(blanks, '')

/** The lines that hold something, trimmed. */
export const linesOf = (content: string): readonly string[] =>
  content
    .split(/[\r\n]/)
    .map(trimBlanks)
    .filter((line) => line !== '')

/** Of a text that was trimmed. */
export const hasInnerBlanks = (text: string): boolean => text.search(blanks) !== -1
