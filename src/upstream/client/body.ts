/**
 * The body of a response as undici or Node reads it, with the interface that all bodies of upstream have.
 */
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { onAbort } from '../../concurrency/abortable.ts'
import { toRegistryError } from '../errors.ts'
import { maxDiscardedBytes, maxDiscardMs } from '../http1/body.ts'
import type { Body } from '../../oci/image-source.ts'

/**
 * A body of undici: whatever HTTP allows, at several times the CPU time of http1/.
 * @param signal of the request: aborted when nobody waits any more
 */
export const undiciBody = (body: Dispatcher.ResponseData['body'], signal: AbortSignal): Body =>
  readableBody(body, signal, async () => {
    await body
      .dump({ limit: maxDiscardedBytes, signal: AbortSignal.timeout(maxDiscardMs) })
      .catch(() => undefined)
  })

/** @param signal of the request: aborted when nobody waits any more */
export const readableBody = (body: Readable, signal: AbortSignal, discard: Body['discard']): Body => {
  let giveUp: (error: unknown) => void = () => undefined
  // An error without a listener would end the process. And a client that has gone never releases its chunk, so a wait for that ends here.
  body.on('error', (error) => giveUp(error))
  return {
    pipeTo: async (sink) => {
      // Once the body is read to its end, undici does not report an abort any more.
      using _listener = onAbort(signal, () => giveUp(signal.reason))
      try {
        for await (const chunk of body as AsyncIterable<Buffer>)
          await new Promise<void>((release, broken) => {
            giveUp = broken
            sink(chunk, release)
          })
      } catch (error) {
        throw toRegistryError(error)
      }
    },
    discard,
  }
}
