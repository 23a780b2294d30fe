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
  return Buffer.concat(pieces, length)
}
