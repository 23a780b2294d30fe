/**
 * Regular expressions of the configuration. They are written for Go (RE2). Only expressions that mean the same in JavaScript are accepted.
 * @see https://github.com/google/re2/wiki/Syntax
 */

/** Unanchored, as in Go. */
export interface GoPattern {
  readonly text: string
  readonly matches: (text: string) => boolean
}

const maxLength = 200
/** Go has no assertions and back references. Classes such as `[[:digit:]]` mean something else in JavaScript. */
const foreign = /\(\?(?:<?[=!])|\\[1-9k]|\[:/
/** Attack: `(a+)+$` in a pull request takes years on a name of 60 characters. Go has no such problem. */
const repeatedGroup = /\)[*+{]/

/** Bits of the number of ways in which a pattern may be tried on a name of 253 characters. */
const maxBits = 24

/** Attack: `^.*.*.*.*.*x$` takes hours, and so does `a?a?a?` thirty times. Each choice multiplies the ways. */
const bitsOf = (text: string): number => {
  const plain = text
    .replaceAll(/\\./g, 'x')
    .replaceAll(/\[[^\][]*\]/g, 'x')
    .replaceAll('(?:', '(')
  const loops = plain.match(/[*+]|\{\d*,\d*\}/g)?.length ?? 0
  const branches = plain.match(/[?|]/g)?.length ?? 0
  const starts = loops > 0 && !plain.startsWith('^') ? 1 : 0
  return 8 * (loops + starts) + branches
}

/** @returns a sentence without its full stop if the pattern cannot be used */
export const parseGoPattern = (text: string): GoPattern | string => {
  if (text.length > maxLength) return `has more than ${maxLength} characters`
  if (foreign.test(text)) return 'has a construct that Go and this program read differently'
  if (repeatedGroup.test(text)) return 'repeats a group, which can take very long to match'
  if (bitsOf(text) > maxBits)
    return 'has so many choices (*, +, ?, {} and |) that it can take very long to match'
  try {
    const pattern = new RegExp(text, 'u')
    return { text, matches: (candidate) => pattern.test(candidate) }
  } catch {
    return 'is not a regular expression'
  }
}
