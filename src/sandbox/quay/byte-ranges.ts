/** The Range header of a request. */

/** One satisfiable range: first and last byte, both counted from 0 and included. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

const rangeSet = /^bytes=(?<specs>\s*(?:\d+-\d*|-\d+)(?:\s*,\s*(?:\d+-\d*|-\d+))*\s*)$/

/**
 * Reads a Range header against a representation of `size` bytes: `null` when it is absent or malformed and so to be
 * ignored, an empty list when none of it can be satisfied (416). Ends beyond the last byte are clamped.
 * Source: https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
 */
export const parseRanges = (header: string | undefined, size: number): readonly ByteRange[] | null => {
  const specs = rangeSet.exec(header ?? '')?.groups?.['specs']
  if (specs === undefined) return null
  return specs
    .split(',')
    .map((spec) => toRange(spec.trim(), size))
    .filter(({ first, last }) => first <= last && first < size)
}

const toRange = (spec: string, size: number): ByteRange => {
  const dash = spec.indexOf('-')
  if (dash === 0) return { first: Math.max(0, size - Number(spec.slice(1))), last: size - 1 }
  const end = spec.slice(dash + 1)
  return { first: Number(spec.slice(0, dash)), last: end === '' ? size - 1 : Math.min(Number(end), size - 1) }
}
