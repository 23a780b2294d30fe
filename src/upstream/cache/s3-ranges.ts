/**
 * Several ranges of a blob from S3 in one answer. S3 sends one range for each GET, so one GET after the other is sent. Their number is
 * limited, so that the client does not wait too long.
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
  /** Opens the blob without S3. */
  readonly openRest: (part: Stretch) => Promise<Body>
}

/** Each range takes a round trip to S3. Clients send up to 1024 ranges (trap 35), which upstream answers in one request. */
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
