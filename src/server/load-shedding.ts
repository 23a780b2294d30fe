/**
 * The limit of concurrent requests. A request over it is refused before any work, even before its credential is read. The second half of
 * the limit is shared out by address.
 */
import type { FastifyReply, FastifyRequest, onRequestHookHandler, preValidationHookHandler } from 'fastify'
import { unavailable } from '../oci/errors.ts'
import { FairShares } from './fair-shares.ts'
import { probePaths } from './health.ts'

export interface OverloadOptions {
  /** Concurrent requests, until the last byte of their responses is sent. */
  readonly maxRequests: number
  /** Called for each refused request. */
  readonly observeShed: () => void
}

export interface ShedOverload {
  /** For requests without a body to come. */
  readonly onRequest: onRequestHookHandler
  /** For requests with a body, once it has arrived. Attack: an announced form that is never sent, to take up a request. */
  readonly onBody: preValidationHookHandler
}

const retryAfterSeconds = 1

/** Below the limit, a request costs one counter and a shared listener. */
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
      // The probes of the kubelet are exempt: restarting a busy replica would make the other replicas busier.
      if (hasBodyToCome || probePaths.has(request.routeOptions.url)) done()
      else enter(request, reply, done)
    },
    onBody: (request, reply, done) => {
      // A closed connection emits no event for the end of its response.
      if (!reply.raw.destroyed) enter(request, reply, done)
    },
  }
}
