/**
 * How much structure some JSON has, counted over its bytes, before a parser builds it: whatever a peer sends is parsed by way of this
 * file.
 *
 * Attack: JSON.parse of two million nested arrays took a second, in which nobody is served.
 */

export interface JsonBounds {
  /** Objects and arrays within each other. */
  readonly maxDepth: number
  /** Objects and arrays, all in all. */
  readonly maxContainers: number
  /** Values that follow another one in their object or list, all in all. */
  readonly maxValues: number
}

/** Of answers that hold a list at most: a person with a thousand groups, a thousand tags, 2000 descriptors with their annotations. */
const ofAnswers: JsonBounds = { maxDepth: 32, maxContainers: 20_000, maxValues: 50_000 }

/** @throws {Error} where it is no JSON, whose message may quote it, or more than such an answer needs */
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
 * Linear in the bytes, and does not look whether they are JSON: what stands in a string is text.
 * @returns the number of names in all objects; undefined where it has more than the bounds
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

/** Where the closing quote is; the end of the content where there is none. */
const endOfString = (content: Buffer, start: number): number => {
  let at = start + 1
  while (at < content.length && content[at] !== quote) at += content[at] === backslash ? 2 : 1
  return at
}
