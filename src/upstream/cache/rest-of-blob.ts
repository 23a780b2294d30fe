/**
 * Opens the rest of a blob at upstream, after a tier of the cache has failed. The client does not notice.
 */
import { backoffMs, pause } from '../../concurrency/backoff.ts'
import { unavailable } from '../../oci/errors.ts'
import type { BlobRequest, Body, OpenBlob } from '../../oci/image-source.ts'
import { isRetryable } from '../errors.ts'
import { byteRangeOf, isSameRange } from '../resilience/byte-range.ts'
import type { Stretch } from './requested-ranges.ts'

export interface RestOfBlobOptions {
  readonly request: BlobRequest
  /** Opens the blob without the tier. */
  readonly open: OpenBlob
  /** Milliseconds, monotonic. */
  readonly now?: (() => number) | undefined
}

/** As for a blob that breaks off: a client that waits longer for a byte is better served by another try. */
const maxWaitMs = 30_000
const backoff = { firstMs: 100, longestMs: 2000 }

/**
 * @param size of the whole blob, in bytes
 * @throws {RegistryError} if upstream does not send it within the time that a client waits
 */
export const openRest = async (
  { request, open, now = () => performance.now() }: RestOfBlobOptions,
  { start, end }: Stretch,
  size: number,
): Promise<Body> => {
  const range = start === 0 && end === size ? undefined : `bytes=${start}-${end - 1}`
  const attempt = async (): Promise<Body> => {
    const { body, ...blob } = await open({ ...request, range, ifRange: undefined })
    const wanted = { start, end, total: size, etag: undefined }
    if (body !== undefined && isSameRange(byteRangeOf(blob, size), wanted)) return body
    await body?.discard()
    throw unavailable('the upstream registry does not go on with the blob where the cache ended')
  }
  const until = now() + maxWaitMs
  for (let failures = 0; ; failures++) {
    const found = await attempt().catch((error: unknown) => ({ error }))
    if (!('error' in found)) return found
    if (!isRetryable(found.error) || now() >= until) throw found.error
    await pause(backoffMs(failures, backoff), request.signal)
    if (request.signal?.aborted === true) throw found.error
  }
}
