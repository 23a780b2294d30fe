/** Offsets within the blob. `end` is the offset after the last byte. */
export interface ByteRange {
  readonly start: number
  readonly end: number
  /** Bytes of the whole blob. */
  readonly total: number
  readonly etag: string | undefined
}
import type { Blob } from '../../oci/image-source.ts'

/** Whether they are the same bytes of the same blob, as far as the headers say. */
export const isSameRange = (found: ByteRange | undefined, wanted: ByteRange): boolean =>
  found?.start === wanted.start &&
  found.end === wanted.end &&
  found.total === wanted.total &&
  (found.etag === undefined || wanted.etag === undefined || found.etag === wanted.etag)

const contentRangePattern = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/

/** @returns undefined if the headers do not say enough for a resume: several ranges at once, no length */
export const byteRangeOf = (
  { status, headers }: Pick<Blob, 'status' | 'headers'>,
  size?: number,
): ByteRange | undefined => {
  // A chunked body has no Content-Length, so the size comes from the manifest.
  const length = Number(headers['content-length'] ?? (status === 200 ? size : undefined) ?? NaN)
  const { etag } = headers
  if (status === 200)
    return Number.isSafeInteger(length) ? { start: 0, end: length, total: length, etag } : undefined
  const [, first, last, whole] = contentRangePattern.exec(headers['content-range'] ?? '') ?? []
  const [start, end, total] = [Number(first), Number(last) + 1, Number(whole)]
  const isWhole = Number.isNaN(length) || end - start === length
  return start < end && end <= total && isWhole ? { start, end, total, etag } : undefined
}
