/**
 * What must not be in a log line, and how long one may be. Everything here is linear in the length of the text: what a client
 * writes gets into lines, and a client may write 64 KiB.
 */

const ends = /[\s"']/

/**
 * A URL in a text loses its query: a signed URL is a key to its blob, and names the robot. A backslash goes with what it
 * escapes, since the text may be a line of JSON; a quote, escaped or not, ends the URL.
 *
 * Attack: `http://http://http://...`, which a pattern would try to match from each of its beginnings to the end.
 */
export const withoutQueries = (text: string): string => {
  // Nearly no line holds a query.
  if (!text.includes('?')) return text
  let result = ''
  let kept = 0
  let from = 0
  for (;;) {
    const authority = text.indexOf('://', from)
    if (authority === -1) return result + text.slice(kept)
    // What stands between two beginnings is looked at once: both have the same end.
    const end = endOf(text, authority + 3, true)
    from = end
    if (text[end] !== '?' || end === authority + 3) continue
    from = endOf(text, end + 1, false)
    result += `${text.slice(kept, end)}?[redacted]`
    kept = from
  }
}

/** Where a URL ends, or its path and what stands before it. */
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
/** A stack is ours, and is what the line is written for. */
const maxStack = 4096
/** Below the 16 KiB at which container runtimes cut a line in two, which no reader of JSON puts together. */
const maxLine = 12 * 1024

/** A line of JSON in which every text is cut to a bound, and which is within one itself. */
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
