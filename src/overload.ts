/**
 * A bound on the requests that are in progress. Whoever comes beyond it is sent away before anything is done for them: before a
 * credential is looked at, before a body is read.
 */
import type { onRequestHookHandler } from 'fastify'
import { unavailable } from './errors.ts'

export interface OverloadOptions {
  /** Requests in progress at a time, until the last byte of their answers is out. */
  readonly maxRequests: number
  /** Called for each request that was sent away. */
  readonly observeShed: () => void
}

/** Asked by the kubelet: a replica that is busy must not be restarted for it, which would make the others busier. */
const spared = new Set(['/healthz', '/readyz'])

const retryAfterSeconds = 1

/** A hook for `onRequest`. All it costs a request is a count, and a listener that all of them share. */
export const shedOverload = ({ maxRequests, observeShed }: OverloadOptions): onRequestHookHandler => {
  let inProgress = 0
  const leave = (): void => {
    inProgress -= 1
  }
  return (request, reply, done) => {
    if (inProgress >= maxRequests && !spared.has(request.routeOptions.url ?? '')) {
      observeShed()
      done(unavailable('too many requests at once; try again in a moment', undefined, retryAfterSeconds))
      return
    }
    inProgress += 1
    reply.raw.on('close', leave)
    done()
  }
}
