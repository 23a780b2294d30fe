/**
 * Bodies of a peer that are small by nature, read within a bound.
 */
import { unavailable } from '../errors.ts'
import type { Body } from './body.ts'

/** Reads a body to its end. @throws {RegistryError} UNAVAILABLE where it is larger than `maxBytes` or breaks off */
export const readBounded = async (body: Body, maxBytes: number): Promise<Buffer> => {
  const pieces: Buffer[] = []
  let length = 0
  await body.deliver((piece, written) => {
    length += piece.length
    if (length > maxBytes) throw unavailable('the upstream registry answers with more than the proxy reads')
    pieces.push(Buffer.from(piece))
    written()
  })
  // Memory of its own: what is kept of it keeps nothing else, and need not be copied again.
  const whole = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const piece of pieces) at += piece.copy(whole, at)
  return whole
}
