/**
 * Several ranges of a blob in one answer, from S3. S3 sends one range for each GET, so there is a GET for each of them, one after the
 * other, and no more than a client has patience for.
 */
import type { Digest } from '../../oci/reference.ts'
import type { Blob, Body, Sink } from '../../oci/image-source.ts'
import { stretchesOf, type RangeSpec, type Stretch } from './requested-ranges.ts'
import { storedAnswer } from './stored-answer.ts'

export interface S3RangesOptions {
  readonly digest: Digest
  /** Bytes of the blob. */
  readonly size: number
  readonly specs: readonly RangeSpec[]
  /** Undefined if S3 does not send it. Never rejects. */
  readonly openPart: (part: Stretch) => Promise<Body | undefined>
  /** Past S3. */
  readonly openRest: (part: Stretch) => Promise<Body>
}

/** Each takes a round trip to S3. Clients send up to 1024 (trap 35): upstream answers so many in one request. */
const maxParts = 16

/**
 * @returns undefined if S3 does not send the first part, if there are too many parts, or if they are not several parts of the blob.
 * Never rejects
 */
export const openRanges = async (options: S3RangesOptions): Promise<Blob | undefined> => {
  const { digest, size, specs, openPart } = options
  const stretches = stretchesOf(specs, size)
  if (stretches.length < 2 || stretches.length > maxParts) return undefined
  const { parts, ...head } = storedAnswer(digest, size, specs)
  if (head.status === 200) return undefined
  const first = await openPart(stretches[0] as Stretch)
  return first && { ...head, body: joined(options, parts, first) }
}

const joined = (
  { openPart, openRest }: S3RangesOptions,
  parts: readonly (Stretch | Buffer)[],
  first: Body,
): Body => {
  let opened: Body | undefined = first
  const open = async (part: Stretch): Promise<Body> => {
    const body = opened ?? (await openPart(part)) ?? (await openRest(part))
    opened = undefined
    return body
  }
  return {
    pipeTo: async (sink: Sink) => {
      for (const part of parts)
        if (Buffer.isBuffer(part)) sink(part, () => undefined)
        else await (await open(part)).pipeTo(sink)
    },
    discard: async () => await opened?.discard(),
  }
}
