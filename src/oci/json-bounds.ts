/**
 * How much structure some JSON has, counted over its bytes, before a parser builds it.
 */

export interface JsonBounds {
  /** Objects and arrays within each other. */
  readonly maxDepth: number
  /** Objects and arrays, all in all. */
  readonly maxContainers: number
  /** Values that follow another one in their object or list, all in all. */
  readonly maxValues: number
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
