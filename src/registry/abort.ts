/**
 * A client that goes away ends what was begun for it alone.
 */
import type { FastifyReply } from 'fastify'

/** Aborted when the connection closes before the answer is through. */
export const abortedWith = (reply: FastifyReply): AbortSignal => {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort()
  })
  return controller.signal
}
