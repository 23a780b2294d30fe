/**
 * The work for one request ends when its client disconnects.
 */
import type { FastifyReply } from 'fastify'

/** Aborted if the connection closes before the whole response is sent. */
export const abortedWith = (reply: FastifyReply): AbortSignal => {
  const controller = new AbortController()
  // A response that was destroyed during authorization emits no further event.
  if (reply.raw.destroyed) controller.abort()
  else
    reply.raw.on('close', () => {
      if (!reply.raw.writableFinished) controller.abort()
    })
  return controller.signal
}
