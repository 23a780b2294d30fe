/**
 * Reads the bodies of small answers within a size limit.
 */
import type { Readable } from 'node:stream'

export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge'
}

/** @throws {BodyTooLarge}, or the error that ended the body early */
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

/** Bytes of an unwanted body that are read. Reading more would cost more than a new connection. */
const maxDiscardedBytes = 64 * 1024

/** Frees the connection for the next request. Never throws. */
export const discard = async (body: Readable): Promise<void> => {
  await readBody(body, maxDiscardedBytes).catch(() => undefined)
}

/** Frees the connection by closing it. A destroyed stream emits an error, which would end the process if it had no listener. */
export const abandon = (body: Readable): void => {
  body.on('error', () => undefined)
  body.destroy()
}
