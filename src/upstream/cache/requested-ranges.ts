/**
 * Parses which bytes of a blob a client requests. An unreadable field is ignored: the client gets the whole blob.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2 and #section-13.1.5
 */
import type { Digest } from '../../oci/reference.ts'
import type { BlobRequest } from '../../oci/image-source.ts'

/** Offsets; `end` is the offset after the last byte. */
export interface Stretch {
  readonly start: number
  readonly end: number
}

/** A range of the field: `5-9`, `5-`, or `-5` for the last five bytes. */
export interface RangeSpec {
  readonly first: number | undefined
  readonly last: number | undefined
}

/** Trap 35: containers/image asks for up to 1024 of them. */
const maxRanges = 1024
const specPattern = /^(\d*)-(\d*)$/

/** The entity tag of a blob: its bytes are the same for ever. */
export const entityTagOf = (digest: Digest): string => `"${digest}"`

/** Undefined if the whole blob is requested, also because If-Range names another entity tag. */
export const requestedRanges = ({
  digest,
  range,
  ifRange,
}: Pick<BlobRequest, 'digest' | 'range' | 'ifRange'>): readonly RangeSpec[] | undefined => {
  if (range === undefined || (ifRange !== undefined && ifRange.trim() !== entityTagOf(digest)))
    return undefined
  if (!/^bytes=/i.test(range)) return undefined
  const specs = range
    .slice('bytes='.length)
    .split(',', maxRanges + 1)
    .map(specOf)
  const isReadable = specs.length <= maxRanges && specs.every((spec) => spec !== undefined)
  return isReadable ? specs : undefined
}

/** An offset beyond every blob is an offset, however long it is. */
const offsetOf = (digits: string): number => Math.min(Number(digits), Number.MAX_SAFE_INTEGER)

const specOf = (text: string): RangeSpec | undefined => {
  const [, first = '', last = ''] = specPattern.exec(text.trim()) ?? []
  if (first === '' && last === '') return undefined
  const spec = {
    first: first === '' ? undefined : offsetOf(first),
    last: last === '' ? undefined : offsetOf(last),
  }
  return spec.first !== undefined && spec.last !== undefined && spec.last < spec.first ? undefined : spec
}

/** The ranges within a blob of this size; none if all are outside. */
export const stretchesOf = (specs: readonly RangeSpec[], size: number): readonly Stretch[] =>
  specs
    .map(({ first, last = size - 1 }) =>
      first === undefined
        ? { start: Math.max(0, size - last), end: size }
        : { start: first, end: Math.min(last + 1, size) },
    )
    .filter(({ start, end }) => start < end)

/** Whether the ranges are the whole blob of this size, in order. */
export const isWhole = (specs: readonly RangeSpec[] | undefined, size: number): boolean => {
  const [first, second] = stretchesOf(specs ?? [{ first: 0, last: undefined }], size)
  return second === undefined && first?.start === 0 && first.end === size
}
