/**
 * Text as people and tools leave it in files: with byte order marks, line ends of other systems, padding, blanks. None of these is part
 * of a secret at its ends; in the middle they are told, because half of what was meant may be missing.
 */

/** White space (to JavaScript the byte order mark is some), and what web pages leave between letters unseen. */
const unseen = /[\s\u200b-\u200d\u2060]/

/** Controls as well, of which NUL is what tools pad with. */
const isBlank = (character: string): boolean =>
  character < ' ' || character === '\x7f' || unseen.test(character)

/** Without the blanks at its ends. By index: an expression for the trailing ones takes quadratic time over a long run of them. */
export const trimBlanks = (text: string): string => {
  let [start, end] = [0, text.length]
  while (start < end && isBlank(text.charAt(start))) start++
  while (end > start && isBlank(text.charAt(end - 1))) end--
  return text.slice(start, end)
}

/** The lines that hold something, trimmed. */
export const linesOf = (content: string): readonly string[] =>
  content
    .split(/[\r\n]/)
    .map(trimBlanks)
    .filter((line) => line !== '')

/** Of a text that was trimmed. */
export const hasInnerBlanks = (text: string): boolean => Array.from(text).some(isBlank)
