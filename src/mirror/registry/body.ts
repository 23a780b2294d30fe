/**
 * Bodies of answers that are small by nature, read within a bound.
 */
import type { Readable } from 'node:stream'

export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge'
}

/** @throws {BodyTooLarge}, and what breaks the body off */
export const readBody = async (body: Readable, maxBytes: number): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) throw new BodyTooLarge(`more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Bytes of a body that nobody wants: more of them cost more than another connection. */
const maxDiscardedBytes = 64 * 1024

/** Frees the connection for the next request. Never throws. */
export const discard = async (body: Readable): Promise<void> => {
  await readBody(body, maxDiscardedBytes).catch(() => undefined)
}

/** Frees the connection by closing it. A stream that is destroyed tells of an error, which ends the process where nobody listens. */
export const abandon = (body: Readable): void => {
  body.on('error', () => undefined)
  body.destroy()
}
