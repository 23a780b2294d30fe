/**
 * Reads a small body whole, within a size limit.
 */
import { unavailable } from '../../oci/errors.ts'
import type { Body } from '../../oci/image-source.ts'

/** @throws {RegistryError} UNAVAILABLE if it is larger than `maxBytes` or breaks off */
export const readBounded = async (body: Body, maxBytes: number): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let length = 0
  await body.pipeTo((chunk, release) => {
    length += chunk.length
    if (length > maxBytes) throw unavailable('the upstream registry answers with more than the proxy reads')
    chunks.push(Buffer.from(chunk))
    release()
  })
  // A buffer of its own: a cached part of a pool would keep the whole pool, and this one need not be copied again.
  const whole = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const chunk of chunks) at += chunk.copy(whole, at)
  return whole
}
