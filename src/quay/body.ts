/**
 * The body of an answer from upstream: handed over piece by piece, in memory that is used again.
 */
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { failureOf } from './failures.ts'

/** Takes the next piece. Its memory is the taker's until `written` is called, and is used for later pieces after that. */
export type Take = (piece: Buffer, written: () => void) => void

export interface Body {
  /**
   * Hands over every byte, in order, and resolves with the last of them. Only a few pieces are out at a time: who has not called
   * `written` is waited for, and upstream is not read from meanwhile. To be called once.
   * @throws {RegistryError} where upstream breaks off, ends before its Content-Length, or is silent for too long; what `take`
   *   throws. The connection is gone then.
   */
  readonly deliver: (take: Take) => Promise<void>
  /** Not wanted: frees the connection, by reading the little that is left or else by closing it. Never throws. */
  readonly discard: () => Promise<void>
}

/** What is thrown away of a redirect's or an error's body before the connection is given up instead. */
export const maxDiscardedBytes = 64 * 1024
/** Milliseconds that a client is made to wait for it. */
export const maxDiscardMs = 1000

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
  // Whoever reads it hears of a break then; nobody listening at the moment would end the process. Who waits for a piece to be
  // written hears of it at once: to a client that has gone it never is.
  body.on('error', (error) => giveUp(error))
  // Of what has been read to its end undici tells nothing any more, not even that.
  const leave = () => giveUp(signal.reason)
  return {
    deliver: async (take) => {
      signal.addEventListener('abort', leave)
      try {
        for await (const piece of body as AsyncIterable<Buffer>)
          await new Promise<void>((written, broken) => {
            giveUp = broken
            take(piece, written)
          })
      } catch (error) {
        throw failureOf(error)
      } finally {
        signal.removeEventListener('abort', leave)
      }
    },
    discard,
  }
}
