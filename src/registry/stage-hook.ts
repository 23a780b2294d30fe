/**
 * A stage of a request as an `onRequest` hook.
 */
import type { FastifyRequest, HookHandlerDoneFunction, onRequestHookHandler } from 'fastify'

/** Undefined if the stage has ended at once, as for nearly all requests of a pull: they cost no promise. */
export type Stage = (request: FastifyRequest) => Promise<void> | undefined

export const stageHook =
  (stage: Stage): onRequestHookHandler =>
  (request, _reply, done) => {
    const ending = stage(request)
    if (ending === undefined) done()
    else void continueAfter(ending, done)
  }

const continueAfter = async (ending: Promise<void>, done: HookHandlerDoneFunction): Promise<void> => {
  try {
    await ending
  } catch (error) {
    done(error as Error)
    return
  }
  done()
}
