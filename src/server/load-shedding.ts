/**
 * A bound on the requests that are in progress. Whoever comes beyond it is sent away before anything is done for them: before a
 * credential is looked at. The second half of it is shared out by address, so that nobody has all of it.
 */
import type { FastifyReply, FastifyRequest, onRequestHookHandler, preValidationHookHandler } from 'fastify'
import { unavailable } from '../oci/errors.ts'
import { FairShares } from './fair-shares.ts'

export interface OverloadOptions {
  /** Requests in progress at a time, until the last byte of their answers is out. */
  readonly maxRequests: number
  /** Called for each request that was sent away. */
  readonly observeShed: () => void
}

export interface ShedOverload {
  /** For every request, but those of which the body is still to come. */
  readonly onRequest: onRequestHookHandler
  /** For those, once it is there. Attack: a form that is announced and never sent, to hold a place. */
  readonly onBody: preValidationHookHandler
}

/** Asked by the kubelet: a replica that is busy must not be restarted for it, which would make the others busier. */
const spared = new Set(['/healthz', '/readyz'])

const retryAfterSeconds = 1

/** All that it costs a request while there are few is a count, and a listener that all of them share. */
export const shedLoad = ({ maxRequests, observeShed }: OverloadOptions): ShedOverload => {
  const unshared = Math.floor(maxRequests / 2)
  const shares = new FairShares(maxRequests - unshared)
  let inProgress = 0
  const leave = (): void => {
    inProgress -= 1
  }
  const enter = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    if (inProgress < unshared) {
      inProgress += 1
      reply.raw.on('close', leave)
      done()
      return
    }
    const { network } = request.client
    if (shares.tryTake(network)) {
      reply.raw.on('close', () => shares.giveBack(network))
      done()
      return
    }
    observeShed()
    done(unavailable('too many requests at once; try again in a moment', undefined, retryAfterSeconds))
  }
  return {
    onRequest: (request, reply, done) => {
      const hasBodyToCome = request.method === 'POST' && !request.is404
      if (hasBodyToCome || spared.has(request.routeOptions.url ?? '')) done()
      else enter(request, reply, done)
    },
    onBody: (request, reply, done) => {
      // Of a connection that is gone nobody will hear that the answer is through.
      if (!reply.raw.destroyed) enter(request, reply, done)
    },
  }
}
