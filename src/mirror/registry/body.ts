/**
 * Reads the bodies of small answers within limits of size and time.
 */
import type { Readable } from 'node:stream'

export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge'
}

/** Attack: a byte now and then, which no timeout between two of them ends. Milliseconds for a whole body. */
const defaultMaxMs = 120_000

/** @throws {BodyTooLarge}, or the error that ended the body early */
export const readBody = async (
  body: Readable,
  maxBytes: number,
  maxMs: number = defaultMaxMs,
): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let length = 0
  const timer = setTimeout(() => body.destroy(new Error(`no whole body within ${maxMs} ms`)), maxMs)
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > maxBytes) throw new BodyTooLarge(`more than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
  } finally {
    clearTimeout(timer)
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
