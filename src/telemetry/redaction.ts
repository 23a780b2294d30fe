/**
 * Removes signed URLs from log lines, and bounds their length. All functions are linear in the length of the text, because clients write parts
 * of log lines, up to 64 KiB.
 */

const ends = /[\s"']/

/**
 * Removes the query of each URL in a text, because a signed URL opens its blob, and names the robot. A backslash belongs to the character
 * that it escapes, because the text may be a line of JSON. A quote ends the URL, escaped or not.
 *
 * Attack: `http://http://http://...`, which a regular expression would match from each of its beginnings to the end.
 */
export const withoutQueries = (text: string): string => {
  // Nearly no line has a query.
  if (!text.includes('?')) return text
  let result = ''
  let copied = 0
  let from = 0
  for (;;) {
    const authority = text.indexOf('://', from)
    if (authority === -1) return result + text.slice(copied)
    // The text between two beginnings is scanned once, because both URLs have the same end.
    const end = endOf(text, authority + 3, true)
    from = end
    if (text[end] !== '?' || end === authority + 3) continue
    from = endOf(text, end + 1, false)
    result += `${text.slice(copied, end)}?[redacted]`
    copied = from
  }
}

/** The end of a URL, or with `isPath` the end of its path. */
const endOf = (text: string, start: number, isPath: boolean): number => {
  let at = start
  for (; at < text.length; at++) {
    const character = text[at] as string
    if (ends.test(character) || (isPath && (character === '?' || character === '\\'))) break
    if (character !== '\\') continue
    const next = text[at + 1]
    if (next === undefined || next === '"' || next === "'") break
    at += 1
  }
  return Math.min(at, text.length)
}

/** Characters. Longer than any line of an ordinary request. */
const shortLine = 2048
const maxField = 1024
/** Characters. The stack is our own text, and the purpose of the line. */
const maxStack = 4096
/** Characters. Container runtimes cut a line at 16 KiB, and readers of JSON do not join the parts. */
const maxLine = 12 * 1024

/** Cuts every text of a line of JSON to a bound, and the whole line to another one. */
export const withinBounds = (line: string): string => {
  if (line.length <= shortLine) return line
  const fields = JSON.parse(line) as Readonly<Record<string, unknown>>
  const cut = JSON.stringify(fields, (key, value: unknown) =>
    typeof value === 'string' ? cutTo(value, key === 'stack' ? maxStack : maxField) : value,
  )
  if (cut.length < maxLine) return `${cut}\n`
  const { level, time, requestId, msg } = fields
  const whole = { level, time, requestId, msg }
  return `${JSON.stringify(whole, (_key, value: unknown) =>
    typeof value === 'string' ? cutTo(value, maxField) : value,
  ).slice(0, -1)},"cut":true}\n`
}

const cutTo = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length).toWellFormed()}… (${text.length} characters)`
