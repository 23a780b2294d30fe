/**
 * Bodies of a peer that are small by nature, read within a bound.
 */
import { unavailable } from '../../oci/errors.ts'
import type { Body } from '../request.ts'

/** Reads a body to its end. @throws {RegistryError} UNAVAILABLE where it is larger than `maxBytes` or breaks off */
export const readBounded = async (body: Body, maxBytes: number): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let length = 0
  await body.pipeTo((chunk, release) => {
    length += chunk.length
    if (length > maxBytes) throw unavailable('the upstream registry answers with more than the proxy reads')
    chunks.push(Buffer.from(chunk))
    release()
  })
  // Memory of its own: what is kept of it keeps nothing else, and need not be copied again.
  const whole = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const chunk of chunks) at += chunk.copy(whole, at)
  return whole
}
