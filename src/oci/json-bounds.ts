/**
 * Bounds on the structure of JSON, counted over its bytes before a parser builds it. All JSON of peers is parsed with this file.
 *
 * Attack: JSON.parse of two million nested arrays took a second, in which no request is served.
 */

export interface JsonBounds {
  /** Nesting of objects and arrays. */
  readonly maxDepth: number
  /** Objects and arrays in sum. */
  readonly maxContainers: number
  /** Values that follow another one in their object or list, in sum. */
  readonly maxValues: number
}

/** For responses with one list: a user with a thousand groups, a thousand tags, 2000 descriptors with their annotations. */
const ofAnswers: JsonBounds = { maxDepth: 32, maxContainers: 20_000, maxValues: 50_000 }

/** @throws {Error} if it is not JSON (the message may quote it), or has more structure than such a response needs */
export const parseAnswer = (content: Buffer): unknown => {
  if (withinBounds(content, ofAnswers) === undefined) throw new Error('it has more structure than is parsed')
  return JSON.parse(content.toString())
}

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a
const comma = 0x2c
const openings = new Set([0x5b, 0x7b])
const closings = new Set([0x5d, 0x7d])

/**
 * Takes time in proportion to the bytes. It does not check whether they are JSON.
 * @returns the number of names in all objects; undefined if a bound is exceeded
 */
export const withinBounds = (
  content: Buffer,
  { maxDepth, maxContainers, maxValues }: JsonBounds,
): number | undefined => {
  let depth = 0
  let containers = 0
  let values = 0
  let names = 0
  for (let at = 0; at < content.length; at++) {
    const byte = content[at] as number
    if (byte === quote) at = endOfString(content, at)
    else if (byte === colon) names++
    else if (byte === comma) {
      if (++values > maxValues) return undefined
    } else if (openings.has(byte)) {
      if (++depth > maxDepth || ++containers > maxContainers) return undefined
    } else if (closings.has(byte)) depth--
  }
  return names
}

/** The index of the closing quote, or the end of the content if there is none. */
const endOfString = (content: Buffer, start: number): number => {
  let at = start + 1
  while (at < content.length && content[at] !== quote) at += content[at] === backslash ? 2 : 1
  return at
}
