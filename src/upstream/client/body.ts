/**
 * The body of an answer from upstream: handed over chunk by chunk, in memory that is used again.
 */
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { toRegistryError } from '../errors.ts'
import { maxDiscardedBytes, maxDiscardMs } from '../http1/body.ts'
import type { Body } from '../request.ts'

/**
 * A body as undici reads it: whatever HTTP allows, at several times the price.
 * @param signal of the request: aborted when nobody waits any more
 */
export const libraryBody = (body: Dispatcher.ResponseData['body'], signal: AbortSignal): Body =>
  readableBody(body, signal, async () => {
    await body
      .dump({ limit: maxDiscardedBytes, signal: AbortSignal.timeout(maxDiscardMs) })
      .catch(() => undefined)
  })

/** @param signal of the request: aborted when nobody waits any more */
export const readableBody = (body: Readable, signal: AbortSignal, discard: Body['discard']): Body => {
  let giveUp: (error: unknown) => void = () => undefined
  // Whoever reads it hears of a break then; nobody listening at the moment would end the process. Who waits for a chunk to be
  // released hears of it at once: to a client that has gone it never is.
  body.on('error', (error) => giveUp(error))
  // Of what has been read to its end undici tells nothing any more, not even that.
  const leave = () => giveUp(signal.reason)
  return {
    pipeTo: async (sink) => {
      signal.addEventListener('abort', leave)
      try {
        for await (const chunk of body as AsyncIterable<Buffer>)
          await new Promise<void>((release, broken) => {
            giveUp = broken
            sink(chunk, release)
          })
      } catch (error) {
        throw toRegistryError(error)
      } finally {
        signal.removeEventListener('abort', leave)
      }
    },
    discard,
  }
}
