/**
 * A client that goes away ends what was begun for it alone.
 */
import type { FastifyReply } from 'fastify'

/** Aborted when the connection closes before the answer is through. */
export const abortedWith = (reply: FastifyReply): AbortSignal => {
  const controller = new AbortController()
  // Who left while access was decided about emits no more events.
  if (reply.raw.destroyed) controller.abort()
  else
    reply.raw.on('close', () => {
      if (!reply.raw.writableFinished) controller.abort()
    })
  return controller.signal
}
