/**
 * A stage of a request as an `onRequest` hook.
 */
import type { FastifyRequest, onRequestHookHandler } from 'fastify'

/** Undefined if the stage has ended at once, as for nearly all requests of a pull: they cost no promise. */
export type Stage = (request: FastifyRequest) => Promise<void> | undefined

export const stageHook =
  (stage: Stage): onRequestHookHandler =>
  (request, _reply, done) => {
    const ending = stage(request)
    if (ending === undefined) done()
    else ending.then(() => done(), done)
  }
