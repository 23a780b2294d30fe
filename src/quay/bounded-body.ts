/**
 * Bodies of a peer that are small by nature, read or thrown away within a bound.
 */
import type { Dispatcher } from 'undici'
import { unavailable } from '../errors.ts'
import { failureOf } from './failures.ts'

/** What is thrown away of a redirect's or an error's body before the connection is given up instead. */
const maxDiscardedBytes = 64 * 1024
/** Milliseconds that a client is made to wait for it. */
const maxDiscardMs = 1000

/** Reads a body to its end. @throws {RegistryError} UNAVAILABLE where it is larger than `maxBytes` or breaks off */
export const readBounded = async (body: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      length += chunk.length
      if (length > maxBytes) throw unavailable('the upstream registry answers with more than the proxy reads')
      chunks.push(chunk)
    }
  } catch (error) {
    throw failureOf(error)
  }
  return Buffer.concat(chunks, length)
}

/** Frees the connection. */
export const discard = async ({ body }: { body: Dispatcher.ResponseData['body'] }): Promise<void> => {
  await body
    .dump({ limit: maxDiscardedBytes, signal: AbortSignal.timeout(maxDiscardMs) })
    .catch(() => undefined)
}
