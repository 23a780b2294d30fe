/**
 * Reads the answer of S3 to a GET.
 */
import type { Body } from '../../oci/image-source.ts'
import { isUnencoded } from '../client/response-fields.ts'
import type { UpstreamReply } from '../client/round-trip.ts'
import { byteRangeOf, type ByteRange } from '../resilience/byte-range.ts'

/** Undefined for encoded bytes, a body without a length, and a range outside of the object. */
export const rangeIn = ({
  statusCode,
  headers,
}: Pick<UpstreamReply, 'statusCode' | 'headers'>): ByteRange | undefined => {
  if ((statusCode !== 200 && statusCode !== 206) || !isUnencoded(headers)) return undefined
  const fields = Object.entries(headers).filter(
    (field): field is [string, string] => typeof field[1] === 'string',
  )
  const range = byteRangeOf({ status: statusCode, headers: Object.fromEntries(fields) })
  return range?.total === 0 ? undefined : range
}

export const unused = async (body: Body): Promise<undefined> => {
  await body.discard()
  return undefined
}

/** Calls `release` once, when the body has ended in any way. */
export const holding = (body: Body, release: () => void): Body => {
  let isHeld = true
  const over = () => {
    if (isHeld) release()
    isHeld = false
  }
  return {
    pipeTo: async (sink) => await body.pipeTo(sink).finally(over),
    discard: async () => await body.discard().finally(over),
  }
}
